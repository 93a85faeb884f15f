/* The semihosting port: an operation in the first argument's register, its arguments' address in the second's,
 * then BKPT 0xAB on Cortex-M, ECALL on RISC-V (Unicorn takes EBREAK for no instruction).
 *
 * QEMU serves the calls from files in its working folder; under Unicorn the Python side answers the same
 * breakpoint from memory. So one ELF runs in both, unchanged. Operation numbers: Arm's "Semihosting for
 * AArch32 and AArch64", chapter 6.
 */
#include "port.h"
#include "semihosting.h"

enum {
    SYS_OPEN = 0x01,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_EXIT_EXTENDED = 0x20
};

enum {
    MODE_READ_BINARY = 1,
    MODE_WRITE_BINARY = 5
};

#define APPLICATION_EXIT 0x20026u

extern uint32_t __stack_bottom[], __stack_top[];

static uint32_t records_file;
static uint32_t answers_file;

static uint32_t semihosting(uint32_t operation, const void *arguments)
{
#if defined(__riscv)
    register uint32_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = arguments;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1) : "memory");
    return a0;
#else
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory", "cc");
    return r0;
#endif
}

static uint32_t open_file(const char *name, uint32_t length, uint32_t mode)
{
    const uint32_t arguments[3] = {(uint32_t)name, mode, length};
    return semihosting(SYS_OPEN, arguments);
}

void semihosting_text(const char *text)
{
    (void)semihosting(SYS_WRITE0, text);
}

void semihosting_hex(uint32_t value)
{
    char text[9];
    for (uint32_t digit = 0; digit < 8; ++digit) {
        const uint32_t nibble = (value >> (28 - 4 * digit)) & 15u;
        text[digit] = (char)(nibble < 10u ? '0' + nibble : 'a' + nibble - 10u);
    }
    text[8] = '\0';
    semihosting_text(text);
}

void semihosting_exit(uint32_t code)
{
    const uint32_t arguments[2] = {APPLICATION_EXIT, code};
    for (;;) {
        (void)semihosting(SYS_EXIT_EXTENDED, arguments);
    }
}

void port_open(void)
{
    records_file = open_file("records", 7, MODE_READ_BINARY);
    answers_file = open_file("answers", 7, MODE_WRITE_BINARY);
    if (records_file == UINT32_MAX || answers_file == UINT32_MAX) {
        semihosting_text("tinyloc: no files\n");
        semihosting_exit(2);
    }
}

bool port_read(uint8_t *data, uint32_t bytes)
{
    const uint32_t arguments[3] = {records_file, (uint32_t)data, bytes};
    return semihosting(SYS_READ, arguments) == 0; /* answers with the number of bytes not read */
}

void port_write(const uint8_t *data, uint32_t bytes)
{
    const uint32_t arguments[3] = {answers_file, (uint32_t)data, bytes};
    if (semihosting(SYS_WRITE, arguments) != 0) {
        semihosting_text("tinyloc: answers cannot be written\n");
        semihosting_exit(2);
    }
}

void port_finish(uint32_t records)
{
    const uint32_t *word = __stack_bottom;
    while (word < __stack_top && *word == STACK_PAINT) {
        ++word;
    }
    semihosting_text("tinyloc: records 0x");
    semihosting_hex(records);
    semihosting_text(" stack 0x");
    semihosting_hex((uint32_t)((const char *)__stack_top - (const char *)word));
    semihosting_text("\n");
    semihosting_exit(0);
}
