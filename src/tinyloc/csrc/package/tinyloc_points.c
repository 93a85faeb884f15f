/* Addresses to columns. The tables are generated: tinyloc_names.c. */
#include "tinyloc_points.h"
#include "tinyloc_names.h"

void tinyloc_silence(int8_t *sample)
{
    for (uint16_t i = 0; i < TINYLOC_SAMPLE_BYTES; i++) {
        sample[i] = i < TINYLOC_ACCESS_POINTS ? TINYLOC_NOT_HEARD : 0;
    }
}

uint16_t tinyloc_column(const uint8_t address[6])
{
    for (uint16_t column = 0; column < TINYLOC_ACCESS_POINTS; column++) {
        uint8_t same = 0;
        while (same < 6 && tinyloc_addresses[column][same] == address[same]) {
            same++;
        }
        if (same == 6) {
            return column;
        }
    }
    return TINYLOC_NO_COLUMN;
}

uint8_t tinyloc_hear(int8_t *sample, const uint8_t address[6], int16_t dbm)
{
    const uint16_t column = tinyloc_column(address);
    if (column == TINYLOC_NO_COLUMN) {
        return 0;
    }
    sample[column] = (int8_t)(dbm < -127 ? -127 : dbm > 127 ? 127 : dbm);
    return 1;
}

void tinyloc_room_name(uint8_t room, char name[TINYLOC_NAME_BYTES])
{
    name[0] = '\0';
    for (uint8_t i = 0; room < TINYLOC_ROOMS && i < TINYLOC_NAME_BYTES; i++) {
        name[i] = tinyloc_room_names[room][i];
    }
}
