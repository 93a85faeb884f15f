/* Start-up for RISC-V: paint the stack, fill data and bss, run main.
 *
 * The stack lies at the bottom of the RAM, so it overflows off the RAM and not into the data. The emulator's
 * memory map ends there. Execution begins at the flash's first byte.
 */
#include <stdint.h>

#include "semihosting.h"

extern uint32_t __data_load[], __data_start[], __data_end[];
extern uint32_t __bss_start[], __bss_end[];

int main(void);
void Reset_Handler(void);
void startup(void);

__attribute__((naked, used, section(".vectors"))) void Reset_Handler(void)
{
    __asm__ volatile("la t0, __stack_bottom\n"
                     "la t1, __stack_top\n"
                     "li t2, 0xDEADBEEF\n"
                     "1: bgeu t0, t1, 2f\n"
                     "sw t2, 0(t0)\n"
                     "addi t0, t0, 4\n"
                     "j 1b\n"
                     "2: mv sp, t1\n"
                     "j startup\n");
}

__attribute__((used)) void startup(void)
{
    const uint32_t *source = __data_load;

    for (volatile uint32_t *word = __data_start; word < __data_end; ++word) {
        *word = *source++;
    }
    for (volatile uint32_t *word = __bss_start; word < __bss_end; ++word) {
        *word = 0;
    }
    semihosting_exit((uint32_t)main());
}
