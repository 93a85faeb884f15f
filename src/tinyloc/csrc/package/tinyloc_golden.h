/* Generated tables of tinyloc_golden.c: for the self-test, not for an application. */
#ifndef TINYLOC_GOLDEN_H
#define TINYLOC_GOLDEN_H

#include "tinyloc_arithmetic.h"
#include "tinyloc_model.h"

/* Samples of all segments, one behind the other; each segment begins with tinyloc_init. */
extern TINYLOC_FLASH int8_t tinyloc_golden_samples[];
extern TINYLOC_FLASH uint16_t tinyloc_golden_lengths[TINYLOC_SEGMENTS];
/* CRC-32 of all that each operator left in a segment, step after step; the last one is of the answers. */
extern TINYLOC_FLASH uint32_t tinyloc_golden_hashes[TINYLOC_SEGMENTS][TINYLOC_OPERATORS + 1];
extern TINYLOC_FLASH char tinyloc_operator_names[TINYLOC_OPERATORS + 1][TINYLOC_NAME_BYTES];
/* CRC-32 of each table. */
extern TINYLOC_FLASH uint32_t tinyloc_golden_tables[TINYLOC_TABLES];
extern TINYLOC_FLASH char tinyloc_table_names[TINYLOC_TABLES][TINYLOC_NAME_BYTES];

#endif
