/* CRC-32 bit by bit: no table of its own, because it runs once before the first inference. */
#include "tinyloc_guard.h"

static uint32_t with_byte(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (uint8_t bit = 0; bit < 8; bit++) {
        crc = (crc & 1U) ? (crc >> 1) ^ 0xEDB88320UL : crc >> 1;
    }
    return crc;
}

uint32_t tinyloc_crc32(uint32_t crc, const void *data, uint32_t bytes)
{
    const uint8_t *at = (const uint8_t *)data;
    crc = ~crc;
    while (bytes-- > 0) {
        crc = with_byte(crc, *at++);
    }
    return ~crc;
}

uint32_t tinyloc_crc32_table(uint32_t crc, TINYLOC_FLASH tinyloc_table *table)
{
    TINYLOC_FLASH uint8_t *at = (TINYLOC_FLASH uint8_t *)table->at;
    uint32_t bytes = table->bytes;
    crc = ~crc;
    while (bytes-- > 0) {
        crc = with_byte(crc, *at++);
    }
    return ~crc;
}
