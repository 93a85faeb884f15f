/* The four functions every C compiler may call even without a library. Linked beside the model and counted
 * as the model's: what a compiler puts in their place costs the user too. Whole words where both sides allow. */
#include <string.h>

#include <stdint.h>

/* A word that may alias anything: the copy must not break the types of what it copies. */
typedef uint32_t __attribute__((may_alias)) word;

static size_t aligned(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & (sizeof(word) - 1u)) == 0u;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    unsigned char *target = to;
    const unsigned char *source = from;

    if (aligned(to, from)) {
        for (; bytes >= sizeof(word); bytes -= sizeof(word)) {
            *(word *)(void *)target = *(const word *)(const void *)source;
            target += sizeof(word);
            source += sizeof(word);
        }
    }
    for (; bytes > 0; --bytes) {
        *target++ = *source++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    unsigned char *target = to;
    const unsigned char *source = from;

    if (target <= source || target >= source + bytes) {
        return memcpy(to, from, bytes);
    }
    while (bytes-- > 0) {
        target[bytes] = source[bytes];
    }
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    unsigned char *target = to;
    const word pattern = (unsigned char)value * (word)0x01010101u;

    if (aligned(to, to)) {
        for (; bytes >= sizeof(word); bytes -= sizeof(word)) {
            *(word *)(void *)target = pattern;
            target += sizeof(word);
        }
    }
    for (; bytes > 0; --bytes) {
        *target++ = (unsigned char)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const unsigned char *left = a;
    const unsigned char *right = b;

    for (; bytes > 0; --bytes, ++left, ++right) {
        if (*left != *right) {
            return *left < *right ? -1 : 1;
        }
    }
    return 0;
}
