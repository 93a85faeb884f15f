/* Generated tables of tinyloc_names.c: for the other files of this package, not for an application. */
#ifndef TINYLOC_NAMES_H
#define TINYLOC_NAMES_H

#include "tinyloc_arithmetic.h"
#include "tinyloc_model.h"

extern TINYLOC_FLASH uint8_t tinyloc_addresses[TINYLOC_ACCESS_POINTS][6];
extern TINYLOC_FLASH char tinyloc_room_names[TINYLOC_ROOMS][TINYLOC_NAME_BYTES];

#endif
