/* The port for an ATmega under simavr: three registers that no peripheral uses. See avr_runner.c. */
#include "avr_registers.h"
#include "port.h"

#define REGISTER(address) (*(volatile uint8_t *)(address))

void port_open(void)
{
}

bool port_read(uint8_t *data, uint32_t bytes)
{
    if (REGISTER(TINYLOC_MORE) == 0) {
        return false;
    }
    for (uint16_t i = 0; i < (uint16_t)bytes; ++i) {
        data[i] = REGISTER(TINYLOC_RECORD);
    }
    return true;
}

void port_write(const uint8_t *data, uint32_t bytes)
{
    for (uint16_t i = 0; i < (uint16_t)bytes; ++i) {
        REGISTER(TINYLOC_ANSWER) = data[i];
    }
}

void port_finish(uint32_t records)
{
    REGISTER(TINYLOC_FINISH) = (uint8_t)records;
    REGISTER(TINYLOC_FINISH) = (uint8_t)(records >> 8);
    REGISTER(TINYLOC_FINISH) = (uint8_t)(records >> 16);
    REGISTER(TINYLOC_FINISH) = (uint8_t)(records >> 24);
    for (;;) {
    }
}
