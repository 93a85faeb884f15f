/* The registers of an ATmega that no peripheral uses, as the wire between the harness and its runner. */
#ifndef TINYLOC_AVR_REGISTERS_H
#define TINYLOC_AVR_REGISTERS_H

#define TINYLOC_FINISH 0x3E /* GPIOR0, written: the number of records, four bytes */
#define TINYLOC_MORE 0x4A   /* GPIOR1, read: not 0 while there are records */
#define TINYLOC_RECORD 0x4B /* GPIOR2, read: the next byte of the records */
#define TINYLOC_ANSWER 0x4B /* GPIOR2, written: a byte of an answer */

#endif
