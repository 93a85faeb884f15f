/* A QEMU TCG plugin (API version 1) that counts how often each instruction address was executed.
 *
 * usage: -plugin ./count.so,out=FILE,origin=ADDRESS     FILE gets one line "address count" each, hexadecimal and
 * decimal; ADDRESS is where the flash begins.
 *
 * Distributions ship QEMU without the plugin header, so the few declarations needed are made here; they are
 * those of the public plugin API, version 1 (QEMU 4.2 to 9).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { INLINE_ADD_U64 = 0 };

typedef void (*translate_callback)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*exit_callback)(qemu_plugin_id_t, void *);

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translate_callback callback);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_callback callback, void *user);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction, int operation,
                                                       void *counter, uint64_t amount);

#define EXPORT __attribute__((visibility("default")))
EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

EXPORT int qemu_plugin_version = 1;

/* Thumb instructions lie on even addresses: the table is indexed, not hashed. */
enum { FLASH_HALFWORDS = (4 << 20) / 2 };
static uint64_t *counts;
static const char *path;
static uint64_t origin;

static void count_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        const uint64_t index = (qemu_plugin_insn_vaddr(instruction) - origin) / 2;
        if (index < FLASH_HALFWORDS) {
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, INLINE_ADD_U64, &counts[index], 1);
        }
    }
}

static void write_counts(qemu_plugin_id_t id, void *user)
{
    (void)id;
    (void)user;
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return; /* the reader finds no file and says so */
    }
    for (uint64_t index = 0; index < FLASH_HALFWORDS; ++index) {
        if (counts[index] != 0) {
            fprintf(file, "%" PRIx64 " %" PRIu64 "\n", origin + index * 2, counts[index]);
        }
    }
    fputs("end\n", file);
    fclose(file);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            path = argv[i] + 4;
        }
        if (strncmp(argv[i], "origin=", 7) == 0) {
            origin = strtoull(argv[i] + 7, NULL, 0);
        }
    }
    counts = calloc(FLASH_HALFWORDS, sizeof *counts);
    if (path == NULL || counts == NULL) {
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, count_block);
    qemu_plugin_register_atexit_cb(id, write_counts, NULL);
    return 0;
}
