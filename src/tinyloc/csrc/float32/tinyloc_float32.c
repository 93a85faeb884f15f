/* Mamba's operators in floating point, plain loops. */
#include "tinyloc_float32.h"

#define LOG2_E 1.442695041F
#define LN_2 0.6931471806F

/* The bits of a float and back: a copy, so that no type is broken; compilers make one move of it. */
typedef union {
    float value;
    uint32_t bits;
} tinyloc_float32_bits;

float tinyloc_float32_exp2(float x)
{
    if (x < -126.0F) {
        return 0.0F;
    }
    const int32_t whole = (int32_t)(x + (x < 0.0F ? -0.5F : 0.5F));
    const float r = x - (float)whole; /* -1/2..1/2: a polynomial with the least relative error there, 1e-7 */
    const float p = 0.0555032902F + r * (0.00961851981F + r * (0.00133998599F + r * 0.000153375775F));
    const tinyloc_float32_bits scale = {.bits = (uint32_t)(whole + 127) << 23};
    return (1.0F + r * (0.693147182F + r * (0.240226462F + r * p))) * scale.value;
}

/* log(x), x above 0 and normal: x = 2^e m with m in 2/3..4/3, by the series of the inverse hyperbolic tangent. */
static float logarithm(float x)
{
    tinyloc_float32_bits m = {.value = x};
    const uint32_t above = m.bits - 0x3F2AAAABU; /* 2/3 */
    const int32_t e = (int32_t)above >> 23;
    m.bits = (above & 0x7FFFFFU) + 0x3F2AAAABU;
    const float s = (m.value - 1.0F) / (m.value + 1.0F), q = s * s;
    const float series = q * (0.333333333F + q * (0.2F + q * (0.142857143F + q * 0.111111111F)));
    return (float)e * LN_2 + 2.0F * (s + s * series);
}

void tinyloc_float32_lookup(const float *table, uint16_t size, const int8_t *x, float *y)
{
    for (uint16_t i = 0; i < size; i++) {
        y[i] = table[(int16_t)x[i] + 128];
    }
}

void tinyloc_float32_fill(float fill, uint16_t size, const int8_t *x, float *y)
{
    for (uint16_t i = 0; i < size; i++) {
        y[i] = x[i] == -128 ? fill : (float)x[i];
    }
}

void tinyloc_float32_linear(const float *weight, const float *bias, uint16_t outputs, uint16_t inputs, const float *x,
                            float *y)
{
    for (uint16_t o = 0; o < outputs; o++) {
        float sum = bias[o];
        for (const float *x_i = x, *end = x + inputs; x_i != end;) {
            sum += *weight++ * *x_i++;
        }
        y[o] = sum;
    }
}

void tinyloc_float32_rms_norm(float epsilon, uint16_t size, const float *x, float *y)
{
    float total = 0.0F;
    for (uint16_t i = 0; i < size; i++) {
        total += x[i] * x[i];
    }
    /* 1/sqrt: half the exponent, then Newton's method, which doubles the digits each time */
    const float mean = total / (float)size + epsilon;
    tinyloc_float32_bits root = {.value = mean};
    root.bits = 0x5F3759DFU - (root.bits >> 1);
    for (uint8_t turn = 0; turn < 4; turn++) {
        root.value *= 1.5F - 0.5F * mean * root.value * root.value;
    }
    for (uint16_t i = 0; i < size; i++) {
        y[i] = x[i] * root.value;
    }
}

void tinyloc_float32_conv(const float *weight, const float *bias, uint16_t channels, uint16_t taps, float *past,
                          const float *x, float *y)
{
    const uint16_t kept = (uint16_t)(taps - 1);
    for (uint16_t channel = 0; channel < channels; channel++, weight += taps, past += kept) {
        const float newest = x[channel];
        float sum = bias[channel] + weight[kept] * newest;
        for (uint16_t tap = 0; tap < kept; tap++) {
            sum += weight[tap] * past[tap];
            past[tap] = tap + 1 < kept ? past[tap + 1] : newest;
        }
        y[channel] = sum;
    }
}

void tinyloc_float32_silu(uint16_t size, const float *x, float *y)
{
    for (uint16_t i = 0; i < size; i++) {
        const float held = x[i] < -80.0F ? -80.0F : x[i]; /* below it the answer is 0, and e^80 fits */
        y[i] = held / (1.0F + tinyloc_float32_exp2(-LOG2_E * held));
    }
}

void tinyloc_float32_softplus(uint16_t size, const float *x, float *y)
{
    for (uint16_t i = 0; i < size; i++) {
        if (x[i] > 20.0F) {
            y[i] = x[i]; /* e^-20 is less than the last digit */
        } else {
            const float power = tinyloc_float32_exp2(LOG2_E * x[i]), sum = 1.0F + power;
            /* what rounding took from the sum is given back: log(1 + p) = log(sum) p / (sum - 1) */
            y[i] = sum > 1.0F ? logarithm(sum) * (power / (sum - 1.0F)) : power;
        }
    }
}

void tinyloc_float32_scan(const float *rate, const float *skip, uint16_t channels, uint16_t states, float *h,
                          const float *dt, const float *b, const float *c, const float *x, float *y)
{
    for (uint16_t channel = 0; channel < channels; channel++) {
        const float step = dt[channel], u = step * x[channel];
        float read = skip[channel] * x[channel];
        for (uint16_t n = 0; n < states; n++, rate++, h++) {
            *h = tinyloc_float32_exp2(step * *rate) * *h + u * b[n];
            read += *h * c[n];
        }
        y[channel] = read;
    }
}

void tinyloc_float32_multiply(uint16_t size, const float *a, const float *b, float *y)
{
    for (uint16_t i = 0; i < size; i++) {
        y[i] = a[i] * b[i];
    }
}

void tinyloc_float32_add(uint16_t size, const float *a, const float *b, float *y)
{
    for (uint16_t i = 0; i < size; i++) {
        y[i] = a[i] + b[i];
    }
}

uint8_t tinyloc_float32_highest(const float *scores, uint8_t size)
{
    uint8_t best = 0;
    for (uint8_t i = 1; i < size; i++) {
        if (scores[i] > scores[best]) {
            best = i;
        }
    }
    return best;
}
