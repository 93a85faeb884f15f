/* Text and exit by semihosting, shared by the port and the fault handler. */
#ifndef TINYLOC_SEMIHOSTING_H
#define TINYLOC_SEMIHOSTING_H

#include <stdint.h>

/* The stack is filled with this word before the first C frame exists; what is left of it was never used. */
#define STACK_PAINT 0xDEADBEEFu

void semihosting_text(const char *text);
void semihosting_hex(uint32_t value);
_Noreturn void semihosting_exit(uint32_t code);

#endif
