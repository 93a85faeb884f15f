/* libFuzzer's way into an emitted model: bytes that say what an application does, call by call.
 *
 *   0xFF   tinyloc_init           0xFE   tinyloc_restart
 *   0xFD   tinyloc_missed with the two bytes behind it (models that stream)
 *   else   tinyloc_step with the bytes behind it: a sample
 *
 * The sanitizers judge memory and arithmetic; what the header promises is checked here. A second state hears the
 * same and must answer the same: nothing is kept anywhere but in the state.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tinyloc_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds) {
        abort();
    }
}

static void check(const tinyloc_result *result)
{
    int best = 0;

    for (int room = 1; room < TINYLOC_ROOMS; ++room) {
        if (result->scores[room] > result->scores[best]) {
            best = room;
        }
    }
    must(result->room == best);
    must(result->settled < TINYLOC_ROOMS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tinyloc_state one, other;
    tinyloc_result result, again;
    size_t at = 0;

    memset(&one, 0x5A, sizeof one); /* whatever RAM holds when the power comes on */
    memset(&other, 0xA5, sizeof other);
    tinyloc_init(&one);
    tinyloc_init(&other);
    while (at < size) {
        const uint8_t what = data[at++];

        if (what == 0xFF) {
            tinyloc_init(&one);
            tinyloc_init(&other);
        } else if (what == 0xFE) {
            tinyloc_restart(&one);
            tinyloc_restart(&other);
#ifdef TINYLOC_HOP
        } else if (what == 0xFD && size - at >= 2) {
            const uint16_t samples = (uint16_t)(data[at] | data[at + 1] << 8);

            at += 2;
            tinyloc_missed(&one, samples);
            tinyloc_missed(&other, samples);
#endif
        } else if (size - at >= TINYLOC_SAMPLE_BYTES) {
            int8_t sample[TINYLOC_SAMPLE_BYTES];

            memcpy(sample, data + at, sizeof sample);
            at += sizeof sample;
            memset(&result, 0, sizeof result);
            memset(&again, 0, sizeof again);
            tinyloc_step(&one, sample, &result);
            tinyloc_step(&other, sample, &again);
            check(&result);
            must(memcmp(&result, &again, sizeof result) == 0);
        } else {
            break;
        }
    }
    return 0;
}
