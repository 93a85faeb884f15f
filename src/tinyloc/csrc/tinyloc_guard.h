/* Whether the constant tables are those that were written, and a checksum of what an operator leaves. Same rules
   as in tinyloc_kernels.h. */
#ifndef TINYLOC_GUARD_H
#define TINYLOC_GUARD_H

#include "tinyloc_arithmetic.h"

/* One constant table of the model. */
typedef struct {
    TINYLOC_FLASH void *at;
    uint32_t bytes;
} tinyloc_table;

/* Generated, beside the tables: all of them in the order of their operators. */
extern TINYLOC_FLASH tinyloc_table tinyloc_tables[];

/* CRC-32 (IEEE 802.3, as in zlib and Ethernet) of what came before, continued with `bytes` bytes of RAM; 0 begins. */
uint32_t tinyloc_crc32(uint32_t crc, const void *data, uint32_t bytes);

/* The same of bytes that lie in flash. */
uint32_t tinyloc_crc32_table(uint32_t crc, TINYLOC_FLASH tinyloc_table *table);

#endif
