/* An ATmega on libsimavr: feeds records, takes answers, counts instructions and cycles by address, holds the stack.
 *
 * usage: avr_runner MCU IMAGE STACK_BOTTOM RECORDS ANSWERS COUNTS COUNTED
 *
 * IMAGE is what the flash holds, from address 0. STACK_BOTTOM is the lowest address of the data space, in bytes, that the stack may take; COUNTED is how many bytes
 * of answers are counted, those before it alone. COUNTS gets one line "address count cycles" each, hexadecimal and
 * twice decimal, and "end". Registers by which the firmware talks to us: see port_avr.c.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <simavr/sim_avr.h>

#include "avr_registers.h"

enum {
    MOST_FLASH = 1 << 18,
    OUT_MASK = 0xFE0F, /* of `out register, rN`: all but N */
    OUT_SPH = 0xBE0E,
    OUT_SPL = 0xBE0D
};

static FILE *records, *answers;
static uint32_t finished_records;
static uint64_t written;
static bool finished;

static void give_up(const char *text)
{
    fprintf(stderr, "tinyloc: %s\n", text);
    exit(2);
}

static uint8_t more(struct avr_t *avr, avr_io_addr_t address, void *param)
{
    (void)avr, (void)address, (void)param;
    const int next = getc(records);
    ungetc(next, records);
    return next != EOF;
}

static uint8_t next_byte(struct avr_t *avr, avr_io_addr_t address, void *param)
{
    (void)avr, (void)address, (void)param;
    return (uint8_t)getc(records);
}

static void answer_byte(struct avr_t *avr, avr_io_addr_t address, uint8_t value, void *param)
{
    (void)avr, (void)address, (void)param;
    if (putc(value, answers) == EOF) {
        give_up("answers cannot be written");
    }
    ++written;
}

/* The number of records comes as four bytes, the lowest first; the fourth ends the run. */
static void finish(struct avr_t *avr, avr_io_addr_t address, uint8_t value, void *param)
{
    static unsigned shift;
    (void)avr, (void)address, (void)param;
    finished_records |= (uint32_t)value << shift;
    shift += 8;
    finished = shift == 32;
}

static void quiet(struct avr_t *avr, const int level, const char *format, va_list list)
{
    (void)avr, (void)level, (void)format, (void)list;
}

int main(int argc, char **argv)
{
    static uint8_t image[MOST_FLASH];
    if (argc != 8) {
        give_up("seven arguments are wanted");
    }
    avr_global_logger_set(quiet);
    FILE *flash = fopen(argv[2], "rb");
    const size_t size = flash == NULL ? 0 : fread(image, 1, sizeof image, flash);
    struct avr_t *avr = avr_make_mcu_by_name(argv[1]);
    const unsigned long bottom = strtoul(argv[3], NULL, 0);
    const uint64_t counted = strtoull(argv[7], NULL, 0);
    records = fopen(argv[4], "rb");
    answers = fopen(argv[5], "wb");
    if (avr == NULL || records == NULL || answers == NULL) {
        give_up(avr == NULL ? "simavr does not know this chip" : "no files");
    }
    avr_init(avr);
    if (size == 0 || size > avr->flashend + 1) {
        give_up("no program that fits the flash");
    }
    avr_loadcode(avr, image, (uint32_t)size, 0);
    avr->codeend = (avr_flashaddr_t)size;
    avr->run_cycle_limit = 1; /* one instruction for each avr_run */
    avr->log = LOG_NONE;
    avr_register_io_read(avr, TINYLOC_MORE, more, NULL);
    avr_register_io_read(avr, TINYLOC_RECORD, next_byte, NULL);
    avr_register_io_write(avr, TINYLOC_ANSWER, answer_byte, NULL);
    avr_register_io_write(avr, TINYLOC_FINISH, finish, NULL);

    const size_t words = (avr->flashend + 1) / 2;
    uint64_t *counts = calloc(words, sizeof *counts), *cycles = calloc(words, sizeof *cycles);
    if (counts == NULL || cycles == NULL) {
        give_up("no memory");
    }
    unsigned lowest = avr->ramend;
    bool torn = false; /* the upper half of the stack pointer is new and its lower half is not yet */
    while (!finished) {
        const size_t at = avr->pc / 2;
        const uint64_t before = avr->cycle;
        const unsigned opcode = avr->flash[avr->pc] | (unsigned)avr->flash[avr->pc + 1] << 8;
        const int state = avr_run(avr);
        const unsigned pointer = avr->data[R_SPL] | (unsigned)avr->data[R_SPH] << 8;
        if (written < counted) {
            counts[at] += 1;
            cycles[at] += avr->cycle - before;
        }
        if ((opcode & OUT_MASK) == OUT_SPH) {
            torn = true;
        } else if ((opcode & OUT_MASK) == OUT_SPL) {
            torn = false;
        }
        if (torn) {
            continue;
        }
        lowest = pointer < lowest ? pointer : lowest;
        if (pointer + 1 < bottom) { /* the pointer names the next free byte */
            printf("tinyloc: stack 0x%04x pc 0x%04x\n", pointer, (unsigned)(at * 2));
            return 1;
        }
        if (state == cpu_Crashed || state == cpu_Done) {
            printf("tinyloc: crash pc 0x%04x\n", (unsigned)(at * 2));
            return 1;
        }
    }
    if (fclose(answers) != 0) {
        give_up("answers cannot be written");
    }
    FILE *file = fopen(argv[6], "w");
    if (file == NULL) {
        give_up("no files");
    }
    for (size_t at = 0; at < words; ++at) {
        if (counts[at] != 0) {
            fprintf(file, "%zx %" PRIu64 " %" PRIu64 "\n", at * 2, counts[at], cycles[at]);
        }
    }
    fputs("end\n", file);
    fclose(file);
    printf("tinyloc: records 0x%08" PRIx32 " lowest 0x%04x\n", finished_records, lowest);
    return 0;
}
