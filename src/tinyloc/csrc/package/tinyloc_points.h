/* From what a radio reports to the model's sample: which access point is which column, and the names of rooms. */
#ifndef TINYLOC_POINTS_H
#define TINYLOC_POINTS_H

#include "tinyloc_model.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TINYLOC_NO_COLUMN 0xFFFFU

/* Begin a sample: nothing was heard yet (and, where the model reads an accelerometer, nothing moved). */
void tinyloc_silence(int8_t *sample);

/* The column of the access point with that address, most significant byte first; TINYLOC_NO_COLUMN where the model
   does not know it. */
uint16_t tinyloc_column(const uint8_t address[6]);

/* One report of the radio into the sample, held to -127..127 dBm: returns 1, or 0 for a stranger. */
uint8_t tinyloc_hear(int8_t *sample, const uint8_t address[6], int16_t dbm);

/* The room's name, ended by 0; an empty one for TINYLOC_NO_ROOM and beyond. */
void tinyloc_room_name(uint8_t room, char name[TINYLOC_NAME_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
