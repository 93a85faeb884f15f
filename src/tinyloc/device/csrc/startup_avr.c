/* Start-up for AVR: the stack pointer, the zero register, then libgcc's copies of data and bss, then main.
 *
 * The stack lies at the bottom of the RAM, so it overflows off the RAM and not into the data: the runner sees to
 * it. Vectors are the reset alone, because the harness enables no interrupt. */
#include <stdint.h>

int main(void);
void tinyloc_vectors(void);
void tinyloc_stack(void);
void tinyloc_main(void);

__attribute__((naked, used, section(".vectors"))) void tinyloc_vectors(void)
{
    __asm__ volatile("jmp tinyloc_stack");
}

__attribute__((naked, used, section(".init2"))) void tinyloc_stack(void)
{
    __asm__ volatile("clr __zero_reg__\n"
                     "out __SREG__, __zero_reg__\n"
                     "ldi r28, lo8(__stack_top - 1)\n"
                     "ldi r29, hi8(__stack_top - 1)\n"
                     "out __SP_H__, r29\n"
                     "out __SP_L__, r28\n");
}

__attribute__((naked, used, section(".init9"))) void tinyloc_main(void)
{
    __asm__ volatile("jmp main");
}
