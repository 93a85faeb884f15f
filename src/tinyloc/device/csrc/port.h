/* What the harness needs from the machine underneath it. Two ports: host (stdin, stdout) and semihosting. */
#ifndef TINYLOC_PORT_H
#define TINYLOC_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* Called once, before anything else. */
void port_open(void);

/* Fill `data` with exactly `bytes` bytes of the record stream; false at its end or when it breaks off. */
bool port_read(uint8_t *data, uint32_t bytes);

/* Append `bytes` bytes to the answer stream; does not return when that fails. */
void port_write(const uint8_t *data, uint32_t bytes);

/* Say how many records were answered and, where it was measured, the stack's high-water mark; then end. */
void port_finish(uint32_t records);

#endif
