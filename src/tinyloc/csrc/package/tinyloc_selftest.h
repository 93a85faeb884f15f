/* Does this board compute what the model means? Golden samples are replayed, and what every operator leaves is
   compared, operator by operator, with what the reference in Python left. Nothing of it is linked unless it is
   called. */
#ifndef TINYLOC_SELFTEST_H
#define TINYLOC_SELFTEST_H

#include "tinyloc_model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint8_t passed;                    /* 1: every table and every operator is as it should be */
    uint8_t segment;                   /* golden samples begin anew at each segment: the one that differs */
    uint16_t table;                    /* 1 + the first damaged table; 0: none */
    uint16_t operation;                /* 1 + the first operator that differs; 0: none */
    char table_name[TINYLOC_NAME_BYTES];
    char operation_name[TINYLOC_NAME_BYTES]; /* and its kind; "answer": all operators agree, what follows differs */
} tinyloc_selftest_report;

/* Replay all golden samples through `state`, which is left initialised. Returns report->passed. The stack holds
   4 bytes for each operator. */
uint8_t tinyloc_selftest(tinyloc_state *state, tinyloc_selftest_report *report);

/* The report in words, a line that ends with 0; TINYLOC_REPORT_BYTES are enough. */
#define TINYLOC_REPORT_BYTES (2 * TINYLOC_NAME_BYTES + 64)
void tinyloc_selftest_words(const tinyloc_selftest_report *report, char *words);

#ifdef __cplusplus
}
#endif

#endif
