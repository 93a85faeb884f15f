/* Start-up for Cortex-M: paint the stack, fill data and bss, lock the RAM's end with the MPU, run main.
 *
 * The stack lies at the bottom of the RAM, so it overflows off the RAM and not into the data. The MPU
 * (PMSAv7, or PMSAv8 on Armv8-M) opens the flash for reading and exactly the RAM of the budget for reading and
 * writing; all else faults. On a machine without one (MPU_TYPE reads 0, as under Unicorn) the memory map itself
 * ends there.
 */
#include <stdint.h>

#include "semihosting.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CPACR REGISTER(0xE000ED88u)
#define SHCSR REGISTER(0xE000ED24u)
#define CFSR REGISTER(0xE000ED28u)
#define HFSR REGISTER(0xE000ED2Cu)
#define MMFAR REGISTER(0xE000ED34u)
#define BFAR REGISTER(0xE000ED38u)
#define MPU_TYPE REGISTER(0xE000ED90u)
#define MPU_CTRL REGISTER(0xE000ED94u)
#define MPU_RNR REGISTER(0xE000ED98u)
#define MPU_RBAR REGISTER(0xE000ED9Cu)
#define MPU_RASR REGISTER(0xE000EDA0u)
#define MPU_RLAR REGISTER(0xE000EDA0u)
#define MPU_MAIR0 REGISTER(0xE000EDC0u)

#define FAULTS_ON (7u << 16)        /* MemManage, BusFault, UsageFault */
#define FPU_ON (15u << 20)          /* CP10 and CP11: full access */
#define RASR_ENABLE 1u
#define RASR_SIZE(log2) (((log2) - 1u) << 1)
#define RASR_READ_WRITE (3u << 24)
#define RASR_READ_ONLY (6u << 24)
#define RASR_NEVER_EXECUTE (1u << 28)
#define MPU_ON 3u                   /* on, in the fault handlers too, and no default map behind it */
#define RBAR_READ_WRITE (1u << 1)
#define RBAR_READ_ONLY (3u << 1)
#define RBAR_NEVER_EXECUTE 1u
#define RLAR_ENABLE 1u
#define MAIR_NORMAL 0x44u           /* not cached */
#define FLASH_REGION_LOG2 22u       /* 4 MB of code space, read only; the linker holds the budget */

extern uint32_t __stack_bottom[], __stack_top[];
extern uint32_t __data_load[], __data_start[], __data_end[];
extern uint32_t __bss_start[], __bss_end[];
extern uint32_t __flash_origin[], __ram_origin[], __ram_length[]; /* addresses that are numbers */

int main(void);
void Reset_Handler(void);
void Fault_Handler(void);
void startup(void);
_Noreturn void report_fault(uint32_t exception, uint32_t stack_pointer, uint32_t program_counter);

/* Nothing returns from a fault, so its report may use the whole stack again, wherever that stood. First the
 * program counter is saved from the exception's frame (its seventh word), if that frame lies in the RAM. */
__attribute__((naked, used)) void Fault_Handler(void)
{
    __asm__ volatile(".syntax unified\n"
                     "mrs r0, ipsr\n"
                     "mov r1, sp\n"
                     "movs r2, #0\n"
                     "ldr r3, =__stack_bottom\n"
                     "cmp r1, r3\n"
                     "blo 1f\n"
                     "ldr r2, [r1, #24]\n"
                     "1: ldr r3, =__stack_top\n"
                     "mov sp, r3\n"
                     "b report_fault\n"
                     ".ltorg\n");
}

__attribute__((naked, used)) void Reset_Handler(void)
{
    __asm__ volatile(".syntax unified\n"
                     "ldr r0, =__stack_bottom\n"
                     "ldr r1, =__stack_top\n"
                     "ldr r2, =0xDEADBEEF\n"
                     "1: cmp r0, r1\n"
                     "bcs 2f\n"
                     "str r2, [r0]\n"
                     "adds r0, #4\n"
                     "b 1b\n"
                     "2: mov sp, r1\n"
                     "b startup\n"
                     ".ltorg\n");
}

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} vector;

__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    {.stack = __stack_top},      {.handler = Reset_Handler}, {.handler = Fault_Handler},
    {.handler = Fault_Handler}, {.handler = Fault_Handler}, {.handler = Fault_Handler},
    {.handler = Fault_Handler}, {.handler = Fault_Handler}, {.handler = Fault_Handler},
    {.handler = Fault_Handler}, {.handler = Fault_Handler}, {.handler = Fault_Handler},
    {.handler = Fault_Handler}, {.handler = Fault_Handler}, {.handler = Fault_Handler},
    {.handler = Fault_Handler},
};

_Noreturn void report_fault(uint32_t exception, uint32_t stack_pointer, uint32_t program_counter)
{
    semihosting_text("tinyloc: fault 0x");
    semihosting_hex(exception);
    semihosting_text(" cfsr 0x");
    semihosting_hex(CFSR);
    semihosting_text(" hfsr 0x");
    semihosting_hex(HFSR);
    semihosting_text(" mmfar 0x");
    semihosting_hex(MMFAR);
    semihosting_text(" bfar 0x");
    semihosting_hex(BFAR);
    semihosting_text(" sp 0x");
    semihosting_hex(stack_pointer);
    semihosting_text(" pc 0x");
    semihosting_hex(program_counter);
    semihosting_text("\n");
    semihosting_exit(1);
}

#if defined(__ARM_ARCH) && __ARM_ARCH >= 8
/* PMSAv8: a region is any multiple of 32 bytes, named by its first and its last 32. */
static void lock_memory(void)
{
    const uint32_t flash = (uint32_t)__flash_origin, ram = (uint32_t)__ram_origin;

    if (((MPU_TYPE >> 8) & 0xFFu) == 0u) {
        return;
    }
    MPU_MAIR0 = MAIR_NORMAL;
    MPU_RNR = 0;
    MPU_RBAR = flash | RBAR_READ_ONLY;
    MPU_RLAR = (flash + (1u << FLASH_REGION_LOG2) - 32u) | RLAR_ENABLE;
    MPU_RNR = 1;
    MPU_RBAR = ram | RBAR_READ_WRITE | RBAR_NEVER_EXECUTE;
    MPU_RLAR = (ram + (uint32_t)__ram_length - 32u) | RLAR_ENABLE;
    MPU_CTRL = MPU_ON;
    __asm__ volatile("dsb\n isb");
    semihosting_text("tinyloc: mpu on\n");
}
#else
static void open_region(uint32_t number, uint32_t origin, uint32_t log2, uint32_t rights)
{
    MPU_RNR = number;
    MPU_RBAR = origin;
    MPU_RASR = rights | RASR_SIZE(log2) | RASR_ENABLE;
}

/* One region for the flash and one for each bit set in the RAM's length, the largest first: every region is
 * then aligned on its own size, as PMSAv7 wants. The Python side hands out only lengths that need seven. */
static void lock_memory(void)
{
    uint32_t regions = (MPU_TYPE >> 8) & 0xFFu;
    uint32_t origin = (uint32_t)__ram_origin;
    uint32_t number = 1;

    if (regions == 0u) {
        return;
    }
    open_region(0, (uint32_t)__flash_origin, FLASH_REGION_LOG2, RASR_READ_ONLY);
    for (uint32_t bit = 31; bit >= 5; --bit) {
        if (((uint32_t)__ram_length >> bit) & 1u) {
            if (number == regions) {
                semihosting_text("tinyloc: too few MPU regions\n");
                semihosting_exit(2);
            }
            open_region(number, origin, bit, RASR_READ_WRITE | RASR_NEVER_EXECUTE);
            origin += 1u << bit;
            ++number;
        }
    }
    MPU_CTRL = MPU_ON;
    __asm__ volatile("dsb\n isb");
    semihosting_text("tinyloc: mpu on\n");
}
#endif

void startup(void)
{
    const uint32_t *source = __data_load;

    for (volatile uint32_t *word = __data_start; word < __data_end; ++word) {
        *word = *source++;
    }
    for (volatile uint32_t *word = __bss_start; word < __bss_end; ++word) {
        *word = 0;
    }
    SHCSR |= FAULTS_ON;
#if defined(__ARM_FP)
    CPACR |= FPU_ON;
    __asm__ volatile("dsb\n isb");
#endif
    lock_memory();
    semihosting_exit((uint32_t)main());
}
