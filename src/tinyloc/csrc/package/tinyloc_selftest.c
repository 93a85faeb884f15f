/* The self-test. An operator that differs first, in the order of the graph, is the one at fault: all that it reads
   agreed at every step, because each operator keeps its own state alone. */
#include "tinyloc_selftest.h"
#include "tinyloc_golden.h"
#include "tinyloc_guard.h"

static void copy(char *to, TINYLOC_FLASH char *from)
{
    for (uint8_t i = 0; i < TINYLOC_NAME_BYTES; i++) {
        to[i] = from[i];
    }
}

/* One segment; returns 1 + the first operator that differs, or 0. */
static uint16_t replay(tinyloc_state *state, uint8_t segment, TINYLOC_FLASH int8_t *golden)
{
    uint32_t hashes[TINYLOC_OPERATORS + 1];
    int8_t sample[TINYLOC_SAMPLE_BYTES];
    tinyloc_result result;
    for (uint16_t i = 0; i <= TINYLOC_OPERATORS; i++) {
        hashes[i] = 0;
    }
    tinyloc_init(state);
    for (uint16_t step = 0; step < tinyloc_golden_lengths[segment]; step++) {
        for (uint16_t i = 0; i < TINYLOC_SAMPLE_BYTES; i++) {
            sample[i] = *golden++;
        }
        tinyloc_step_traced(state, sample, &result, hashes);
    }
    for (uint16_t i = 0; i <= TINYLOC_OPERATORS; i++) {
        if (hashes[i] != tinyloc_golden_hashes[segment][i]) {
            return (uint16_t)(i + 1U);
        }
    }
    return 0;
}

uint8_t tinyloc_selftest(tinyloc_state *state, tinyloc_selftest_report *report)
{
    TINYLOC_FLASH int8_t *golden = tinyloc_golden_samples;
    report->segment = 0;
    report->table = 0;
    report->operation = 0;
    report->table_name[0] = '\0';
    report->operation_name[0] = '\0';
    for (uint16_t i = 0; i < TINYLOC_TABLES && report->table == 0; i++) {
        if (tinyloc_crc32_table(0, &tinyloc_tables[i]) != tinyloc_golden_tables[i]) {
            report->table = (uint16_t)(i + 1U);
            copy(report->table_name, tinyloc_table_names[i]);
        }
    }
    /* the first of all segments: a fault that one segment does not touch may show in the next one */
    for (uint8_t segment = 0; segment < TINYLOC_SEGMENTS; segment++) {
        const uint16_t found = replay(state, segment, golden);
        if (found != 0 && (report->operation == 0 || found < report->operation)) {
            report->operation = found;
            report->segment = segment;
            copy(report->operation_name, tinyloc_operator_names[found - 1U]);
        }
        golden += (uint32_t)tinyloc_golden_lengths[segment] * TINYLOC_SAMPLE_BYTES;
    }
    tinyloc_init(state);
    report->passed = report->table == 0 && report->operation == 0;
    return report->passed;
}

static char *append(char *to, const char *text)
{
    while (*text != '\0') {
        *to++ = *text++;
    }
    return to;
}

void tinyloc_selftest_words(const tinyloc_selftest_report *report, char *words)
{
    words = append(words, "tinyloc: ");
    if (report->passed) {
        words = append(words, "pass");
    }
    if (report->table != 0) {
        words = append(words, "damaged table ");
        words = append(words, report->table_name);
        words = append(words, report->operation != 0 ? "; " : "");
    }
    if (report->operation != 0) {
        words = append(words, "first operator that differs: ");
        words = append(words, report->operation_name);
    }
    *words = '\0';
}
