/* The host port: records from stdin, answers to stdout, the count to stderr. For tests and sanitizers. */
#include <stdio.h>
#include <stdlib.h>

#include "port.h"

void port_open(void)
{
}

bool port_read(uint8_t *data, uint32_t bytes)
{
    return fread(data, 1, bytes, stdin) == bytes;
}

void port_write(const uint8_t *data, uint32_t bytes)
{
    if (fwrite(data, 1, bytes, stdout) != bytes) {
        exit(2);
    }
}

void port_finish(uint32_t records)
{
    if (fflush(stdout) != 0) {
        exit(2);
    }
    fprintf(stderr, "tinyloc: records %lu\n", (unsigned long)records);
}
