/* What AVR's compiler makes of products and shifts is calls and loops of single bits; here they are written out.
   Every use has a plain C form beside it that gives the same bits. Included by tinyloc_arithmetic.h alone. */
#ifndef TINYLOC_AVR_H
#define TINYLOC_AVR_H

#include <stdint.h>

/* a * b. */
static inline int32_t tinyloc_avr_product(int16_t a, int16_t b)
{
    int32_t p;
    uint8_t zero;
    __asm__("clr %1\n\t"
            "muls %B2, %B3\n\t"
            "movw %C0, r0\n\t"
            "mul %A2, %A3\n\t"
            "movw %A0, r0\n\t"
            "mulsu %B2, %A3\n\t"
            "sbc %D0, %1\n\t"
            "add %B0, r0\n\t"
            "adc %C0, r1\n\t"
            "adc %D0, %1\n\t"
            "mulsu %B3, %A2\n\t"
            "sbc %D0, %1\n\t"
            "add %B0, r0\n\t"
            "adc %C0, r1\n\t"
            "adc %D0, %1\n\t"
            "clr __zero_reg__"
            : "=&r"(p), "=&r"(zero)
            : "a"(a), "a"(b)
            : "r0");
    return p;
}

/* sum += w * the next input. */
#define TINYLOC_AVR_ADD(w)                                                                                     \
    "ld %[low], %a[x]+\n\t"                                                                                    \
    "ld %[high], %a[x]+\n\t"                                                                                   \
    "mulsu " w ", %[low]\n\t"                                                                                  \
    "sbc %[sign], %[sign]\n\t"                                                                                 \
    "add %A[sum], r0\n\t"                                                                                      \
    "adc %B[sum], r1\n\t"                                                                                      \
    "adc %C[sum], %[sign]\n\t"                                                                                 \
    "adc %D[sum], %[sign]\n\t"                                                                                 \
    "muls " w ", %[high]\n\t"                                                                                  \
    "sbc %[sign], %[sign]\n\t"                                                                                 \
    "add %B[sum], r0\n\t"                                                                                      \
    "adc %C[sum], r1\n\t"                                                                                      \
    "adc %D[sum], %[sign]\n\t"

/* sum + the dot product of weights in flash and inputs: `groups` of four, in the order 0, 2, 1, 3, then the rest. */
static inline int32_t tinyloc_avr_dot(TINYLOC_FLASH int8_t *weight, const int16_t *x, uint16_t groups, uint8_t rest,
                                      int32_t sum)
{
    uint8_t sign;
    int8_t first, third, low, high;
    __asm__("rjmp 2f\n\t"
            "1: lpm %[first], %a[weight]+\n\t" TINYLOC_AVR_ADD("%[first]")
            "lpm %[third], %a[weight]+\n\t"
            "lpm %[first], %a[weight]+\n\t" TINYLOC_AVR_ADD("%[first]") TINYLOC_AVR_ADD("%[third]")
            "lpm %[first], %a[weight]+\n\t" TINYLOC_AVR_ADD("%[first]")
            "2: sbiw %[groups], 1\n\t"
            "brcs 4f\n\t"
            "rjmp 1b\n\t"
            "3: lpm %[first], %a[weight]+\n\t" TINYLOC_AVR_ADD("%[first]")
            "4: subi %[rest], 1\n\t"
            "brcc 3b\n\t"
            "clr __zero_reg__"
            : [sum] "+r"(sum), [weight] "+z"(weight), [x] "+x"(x), [groups] "+w"(groups), [rest] "+d"(rest),
              [sign] "=&r"(sign), [first] "=&a"(first), [third] "=&a"(third), [low] "=&a"(low), [high] "=&a"(high)
            :
            : "r0", "memory");
    return sum;
}

/* tinyloc_power((step * decay) >> shift) for step, decay 0..32767. A call: it needs most of the upper registers. */
static __attribute__((noinline, unused)) int16_t tinyloc_avr_keep(int16_t step, int16_t decay, uint8_t shift)
{
    int16_t keep;
    uint32_t p;
    uint16_t q, fall;
    uint8_t zero;
    TINYLOC_FLASH uint32_t *entry = tinyloc_exp2_table;
    __asm__("clr %[zero]\n\t"
            "mul %A[step], %A[decay]\n\t"
            "movw %A[p], r0\n\t"
            "mul %B[step], %B[decay]\n\t"
            "movw %C[p], r0\n\t"
            "mul %A[step], %B[decay]\n\t"
            "add %B[p], r0\n\t"
            "adc %C[p], r1\n\t"
            "adc %D[p], %[zero]\n\t"
            "mul %B[step], %A[decay]\n\t"
            "add %B[p], r0\n\t"
            "adc %C[p], r1\n\t"
            "adc %D[p], %[zero]\n\t"
            /* the shift: whole bytes, then bits */
            "1: subi %[shift], 8\n\t"
            "brcs 2f\n\t"
            "mov %A[p], %B[p]\n\t"
            "mov %B[p], %C[p]\n\t"
            "mov %C[p], %D[p]\n\t"
            "clr %D[p]\n\t"
            "rjmp 1b\n\t"
            "2: subi %[shift], -8\n\t"
            "rjmp 4f\n\t"
            "3: lsr %D[p]\n\t"
            "ror %C[p]\n\t"
            "ror %B[p]\n\t"
            "ror %A[p]\n\t"
            "4: dec %[shift]\n\t"
            "brpl 3b\n\t"
            /* from 15 whole digits on nothing is left */
            "clr %A[keep]\n\t"
            "clr %B[keep]\n\t"
            "cpi %C[p], 15\n\t"
            "cpc %D[p], %[zero]\n\t"
            "brcc 9f\n\t"
            /* the entry: its fall, then its value */
            "mov __tmp_reg__, %B[p]\n\t"
            "lsr __tmp_reg__\n\t"
            "lsr __tmp_reg__\n\t"
            "lsl __tmp_reg__\n\t"
            "lsl __tmp_reg__\n\t"
            "add %A[entry], __tmp_reg__\n\t"
            "adc %B[entry], %[zero]\n\t"
            "lpm %A[fall], %a[entry]+\n\t"
            "lpm %B[fall], %a[entry]+\n\t"
            "lpm %A[keep], %a[entry]+\n\t"
            "lpm %B[keep], %a[entry]\n\t"
            /* 64 times the rest, in A and D of p, A the upper one */
            "andi %B[p], 3\n\t"
            "lsr %B[p]\n\t"
            "ror %A[p]\n\t"
            "ror %D[p]\n\t"
            "lsr %B[p]\n\t"
            "ror %A[p]\n\t"
            "ror %D[p]\n\t"
            /* entry - fall * that; q holds the product's middle bytes */
            "mul %A[fall], %D[p]\n\t"
            "mov %A[q], r1\n\t"
            "mov %B[p], r0\n\t"
            "clr %B[q]\n\t"
            "mul %A[fall], %A[p]\n\t"
            "add %A[q], r0\n\t"
            "adc %B[q], r1\n\t"
            "mul %B[fall], %D[p]\n\t"
            "clr %D[p]\n\t"
            "add %A[q], r0\n\t"
            "adc %B[q], r1\n\t"
            "adc %D[p], %[zero]\n\t"
            "mul %B[fall], %A[p]\n\t"
            "add %B[q], r0\n\t"
            "adc %D[p], r1\n\t"
            "sub %A[fall], %B[p]\n\t"
            "sbc %B[fall], %A[q]\n\t"
            "sbc %A[keep], %B[q]\n\t"
            "sbc %B[keep], %D[p]\n\t"
            /* the whole digits */
            "cpi %C[p], 8\n\t"
            "brcs 6f\n\t"
            "mov %A[keep], %B[keep]\n\t"
            "clr %B[keep]\n\t"
            "subi %C[p], 8\n\t"
            "rjmp 6f\n\t"
            "5: lsr %B[keep]\n\t"
            "ror %A[keep]\n\t"
            "6: dec %C[p]\n\t"
            "brpl 5b\n\t"
            "9: clr __zero_reg__"
            : [keep] "=&r"(keep), [p] "=&d"(p), [q] "=&r"(q), [fall] "=&r"(fall), [zero] "=&r"(zero),
              [entry] "+z"(entry), [shift] "+d"(shift)
            : [step] "r"(step), [decay] "r"(decay)
            : "r0");
    return keep;
}

/* sum >> 15 held within int16. */
static inline int16_t tinyloc_avr_held(int32_t sum)
{
    __asm__("lsl %B0\n\t"
            "rol %C0\n\t"
            "rol %D0\n\t"
            "brvc 1f\n\t"
            "ldi %C0, 0xFF\n\t"
            "ldi %D0, 0x7F\n\t"
            "brcc 1f\n\t"
            "ldi %C0, 0x00\n\t"
            "ldi %D0, 0x80\n\t"
            "1:"
            : "+d"(sum));
    return (int16_t)(sum >> 16);
}

/* sum += the product of byte i of a and byte j of b, in the three bytes low, high, carry of p. */
#define TINYLOC_AVR_COLUMN(i, j, low, high, carry)                                                             \
    "mul %" i "[a], %" j "[b]\n\t"                                                                             \
    "add %" low "[p], r0\n\t"                                                                                  \
    "adc %" high "[p], r1\n\t"                                                                                 \
    "adc %" carry "[p], %[zero]\n\t"

/* The upper word of a * b, b never negative: column by column without signs, then less b where a is negative. */
static inline int32_t tinyloc_avr_upper(int32_t a, int32_t b)
{
    int32_t p;
    uint8_t zero;
    __asm__("clr %[zero]\n\t"
            "mul %A[a], %A[b]\n\t"
            "mov %A[p], r1\n\t"
            "clr %B[p]\n\t"
            "clr %C[p]\n\t" TINYLOC_AVR_COLUMN("A", "B", "A", "B", "C") TINYLOC_AVR_COLUMN("B", "A", "A", "B", "C")
            "clr %A[p]\n\t" TINYLOC_AVR_COLUMN("A", "C", "B", "C", "A") TINYLOC_AVR_COLUMN("B", "B", "B", "C", "A")
                TINYLOC_AVR_COLUMN("C", "A", "B", "C", "A")
            "clr %B[p]\n\t" TINYLOC_AVR_COLUMN("A", "D", "C", "A", "B") TINYLOC_AVR_COLUMN("B", "C", "C", "A", "B")
                TINYLOC_AVR_COLUMN("C", "B", "C", "A", "B") TINYLOC_AVR_COLUMN("D", "A", "C", "A", "B")
            "clr %C[p]\n\t" TINYLOC_AVR_COLUMN("B", "D", "A", "B", "C") TINYLOC_AVR_COLUMN("C", "C", "A", "B", "C")
                TINYLOC_AVR_COLUMN("D", "B", "A", "B", "C")
            "clr %D[p]\n\t" TINYLOC_AVR_COLUMN("C", "D", "B", "C", "D") TINYLOC_AVR_COLUMN("D", "C", "B", "C", "D")
            "mul %D[a], %D[b]\n\t"
            "add %C[p], r0\n\t"
            "adc %D[p], r1\n\t"
            "clr __zero_reg__\n\t"
            "tst %D[a]\n\t"
            "brpl 1f\n\t"
            "sub %A[p], %A[b]\n\t"
            "sbc %B[p], %B[b]\n\t"
            "sbc %C[p], %C[b]\n\t"
            "sbc %D[p], %D[b]\n\t"
            "1:"
            : [p] "=&r"(p), [zero] "=&r"(zero)
            : [a] "r"(a), [b] "r"(b)
            : "r0");
    return p;
}

#endif
