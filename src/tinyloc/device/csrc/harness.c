/* The harness: one record in, one step of the model, one answer out, until the records end.
 *
 *   record   1 + TINYLOC_SAMPLE_BYTES   flag, then the sample; 0: a window goes on, 1: a session begins, call
 *                                       tinyloc_init first, 2: a window begins, call tinyloc_restart first
 *   answer   2 * TINYLOC_ROOMS + 2      scores as little-endian int16, the room, the settled room, and in a model
 *                                       that says so (TINYLOC_ANSWER_BYTES) whatever else it answers, in bytes;
 *                                       a model in floating point (TINYLOC_SCORE_BYTES 4) writes its scores as float
 *
 * RAM holds one state, one sample, one result: nothing is buffered, as on a wearable. The answer is the
 * result's own memory, for which its layout and the byte order are checked here.
 */
#include <stddef.h>

#include "port.h"
#include "tinyloc_model.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the harness writes scores as they lie in memory, and so needs a little-endian machine"
#endif

/* What an application would hold too: the linker script keeps it apart from the harness's own RAM. */
#if defined(__ELF__)
#define MODEL_RAM __attribute__((section(".bss.tinyloc_model")))
#else
#define MODEL_RAM
#endif

#if defined(__AVR__)
#define CONSTANT const __flash
#else
#define CONSTANT const
#endif

#ifndef TINYLOC_SCORE_BYTES
#define TINYLOC_SCORE_BYTES 2
#endif

enum {
    RECORD_BYTES = 1 + TINYLOC_SAMPLE_BYTES,
#ifdef TINYLOC_ANSWER_BYTES
    ANSWER_BYTES = TINYLOC_ANSWER_BYTES
#else
    ANSWER_BYTES = TINYLOC_SCORE_BYTES * TINYLOC_ROOMS + 2
#endif
};

typedef char room_follows_scores[offsetof(tinyloc_result, room) == TINYLOC_SCORE_BYTES * TINYLOC_ROOMS ? 1 : -1];
typedef char settled_follows_room[offsetof(tinyloc_result, settled) == TINYLOC_SCORE_BYTES * TINYLOC_ROOMS + 1 ? 1 : -1];
typedef char answer_fits_result[sizeof(tinyloc_result) >= ANSWER_BYTES ? 1 : -1];

/* Read from the ELF by the side that feeds us, so that both agree on the lengths. */
extern CONSTANT uint32_t tinyloc_harness_record_bytes;
extern CONSTANT uint32_t tinyloc_harness_answer_bytes;
extern CONSTANT uint32_t tinyloc_harness_window_steps;
CONSTANT uint32_t tinyloc_harness_record_bytes __attribute__((used)) = RECORD_BYTES;
CONSTANT uint32_t tinyloc_harness_answer_bytes __attribute__((used)) = ANSWER_BYTES;
CONSTANT uint32_t tinyloc_harness_window_steps __attribute__((used)) = TINYLOC_WINDOW_STEPS;

typedef struct {
    uint8_t padding[3];
    uint8_t flag;
    int8_t sample[TINYLOC_SAMPLE_BYTES]; /* on a word boundary, as an application's own array would be */
} aligned_record;

MODEL_RAM static tinyloc_state state;
MODEL_RAM static aligned_record record __attribute__((aligned(4)));
MODEL_RAM static tinyloc_result result;

int main(void)
{
    uint32_t records = 0;

    port_open();
    while (port_read(&record.flag, RECORD_BYTES)) {
        if (record.flag == 1 || records == 0) {
            tinyloc_init(&state); /* nothing runs on a state that was never initialised */
        } else if (record.flag == 2) {
            tinyloc_restart(&state);
        }
        tinyloc_step(&state, record.sample, &result);
        port_write((const uint8_t *)&result, ANSWER_BYTES);
        ++records;
    }
    port_finish(records);
    return 0;
}
