/* memhash with AES instructions (runtime/asm_amd64.s: aeshashbody, memhash32, memhash64) over arrays of keys.

   The same functions as in aes.py, which says what they follow; and what is asked of many hashes at once. This file is a
   library without Python in it, loaded by kernel.py: it needs a compiler to be built, and no Python headers. Callers have
   checked that all ranges lie in `data`, and that all numbers are those of something.
*/

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INTERFACE 3 /* What kernel.py has to expect: raised with each change of a function's arguments. */
#define BLOCK 16
#define LANES 8
#define AHEAD 16 /* Keys that are fetched from memory before their turn. */
#define MIX 0x9E3779B97F4A7C15ULL /* Spreads hashes that have bits in common: an odd number without a pattern. */
#define MOST_STEPS 256 /* From its own cell on, to a free one: more only happen where hashes were chosen. */

int gmi_interface(void) { return INTERFACE; }

/* Marks in `out` which of `count` hashes occur more than once. `cells` are 2^bits numbers, all zero, and more than there
   are hashes. Returns 0 where too many hashes want the same cells; then `out` says nothing. */
int gmi_repeated(const uint64_t *hashes, uint8_t *out, size_t count, uint32_t *cells, int bits) {
    const size_t last = ((size_t)1 << bits) - 1;
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)(hashes[i] * MIX >> (64 - bits));
        /* A cell holds the number of a hash, counted from 1 on. */
        for (int steps = 0; cells[at] && hashes[cells[at] - 1] != hashes[i]; at = (at + 1) & last)
            if (++steps == MOST_STEPS) return 0;
        if (cells[at])
            out[cells[at] - 1] = out[i] = 1;
        else
            cells[at] = (uint32_t)i + 1;
    }
    return 1;
}

/* Which of `count` hashes do not lead to the row that their key is in, its place / 8: their numbers in `out`, which has
   room for one more; returns how many. The bits from `shift` on choose an entry of a directory, and `tables` says which
   table that leads to; `first` and `mask` are the first row of each table, and how many it has, less one. The bits from
   `h1` on choose one of them. */
size_t gmi_away(const uint64_t *hashes, const int64_t *places, size_t count, const int64_t *tables, int shift, int h1,
                const int64_t *first, const int64_t *mask, int64_t *out) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t table = tables[shift < 64 ? hashes[i] >> shift : 0];
        const int64_t home = first[table] + (int64_t)(hashes[i] >> h1 & (uint64_t)mask[table]);
        out[found] = (int64_t)i;
        found += home != places[i] >> 3;
    }
    return found;
}

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define WITH_AES __attribute__((target("aes,sse4.1")))

int gmi_usable(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
}

WITH_AES static inline __m128i twice(__m128i state) { return _mm_aesenc_si128(state, state); }

WITH_AES static inline uint64_t low(__m128i state) { return (uint64_t)_mm_cvtsi128_si64(state); }

WITH_AES static inline __m128i load(const uint8_t *at) { return _mm_loadu_si128((const __m128i *)at); }

/* One AESENC with each of the first three keys of the schedule. */
WITH_AES static inline uint64_t hash_short(const uint8_t *schedule, uint64_t seed, uint64_t value) {
    __m128i state = _mm_set_epi64x((long long)value, (long long)seed);
    for (int i = 0; i < 3; i++) state = _mm_aesenc_si128(state, load(schedule + BLOCK * i));
    return low(state);
}

WITH_AES void gmi_memhash32(const uint8_t *schedule, const uint8_t *data, const uint64_t *seeds, uint64_t *out,
                            size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t value;
        memcpy(&value, data + 4 * i, 4);
        out[i] = hash_short(schedule, seeds[i], value);
    }
}

WITH_AES void gmi_memhash64(const uint8_t *schedule, const uint8_t *data, const uint64_t *seeds, uint64_t *out,
                            size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, data + 8 * i, 8);
        out[i] = hash_short(schedule, seeds[i], value);
    }
}

/* Words of `length` bytes, 4 or 8, in slots of eight a row: slot i % 8 of row i / 8, for each of `count` numbers i. */
WITH_AES void gmi_memhash_slots(const uint8_t *schedule, const uint8_t *slots, size_t row_stride, size_t slot_stride,
                                size_t length, const int64_t *places, uint64_t seed, uint64_t *out, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const size_t place = (size_t)places[i];
        const uint8_t *at = slots + (place >> 3) * row_stride + (place & 7) * slot_stride;
        uint64_t value = 0;
        memcpy(&value, at, length == 8 ? 8 : 4);
        out[i] = hash_short(schedule, seed, value);
    }
}

/* Up to 16 bytes, the others zero; nothing behind `end` is read. */
WITH_AES static inline __m128i padded(const uint8_t *at, size_t length, const uint8_t *end) {
    static const uint8_t mask[2 * BLOCK] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    if ((size_t)(end - at) >= BLOCK) return _mm_and_si128(load(at), load(mask + BLOCK - length));
    uint8_t few[BLOCK] = {0};
    memcpy(few, at, length);
    return load(few);
}

WITH_AES static uint64_t hash_bytes(const uint8_t *schedule, uint64_t seed, const uint8_t *at, size_t length,
                                    const uint8_t *end) {
    const __m128i unscrambled = _mm_set_epi64x((long long)((length & 0xFFFF) * 0x0001000100010001ULL), (long long)seed);
    const size_t lanes = length <= 16 ? 1 : length <= 32 ? 2 : length <= 64 ? 4 : 8;
    __m128i state[LANES];
    for (size_t i = 0; i < lanes; i++) state[i] = twice(_mm_xor_si128(unscrambled, load(schedule + BLOCK * i)));
    if (length == 0) return low(twice(state[0]));
    if (length <= BLOCK) {
        state[0] = _mm_xor_si128(state[0], padded(at, length, end));
    } else if (length <= 128) {
        /* Half of the lanes from the start on, the others up to the end. */
        const size_t half = lanes / 2;
        for (size_t i = 0; i < half; i++) {
            state[i] = _mm_xor_si128(state[i], load(at + BLOCK * i));
            state[half + i] = _mm_xor_si128(state[half + i], load(at + length - BLOCK * (half - i)));
        }
    } else {
        /* The last 128 bytes, then the others from the start. */
        for (size_t i = 0; i < LANES; i++)
            state[i] = _mm_xor_si128(state[i], load(at + length - 128 + BLOCK * i));
        for (size_t from = 0; from < (length - 1) / 128 * 128; from += 128)
            for (size_t i = 0; i < LANES; i++)
                state[i] = _mm_aesenc_si128(twice(state[i]), load(at + from + BLOCK * i));
    }
    __m128i total = _mm_setzero_si128();
    for (size_t i = 0; i < lanes; i++) total = _mm_xor_si128(total, twice(twice(twice(state[i]))));
    return low(total);
}

/* `count` rows of `length` bytes, one after the other. */
WITH_AES void gmi_memhash(const uint8_t *schedule, const uint8_t *data, size_t length, const uint64_t *seeds,
                          uint64_t *out, size_t count) {
    const uint8_t *end = data + length * count;
    for (size_t i = 0; i < count; i++) out[i] = hash_bytes(schedule, seeds[i], data + length * i, length, end);
}

/* `count` ranges of `size` bytes of data, of `lengths` bytes each. */
WITH_AES void gmi_memhash_at(const uint8_t *schedule, const uint8_t *data, size_t size, const int64_t *starts,
                             const int64_t *lengths, const uint64_t *seeds, uint64_t *out, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count) __builtin_prefetch(data + starts[i + AHEAD]);
        out[i] = hash_bytes(schedule, seeds[i], data + starts[i], (size_t)lengths[i], data + size);
    }
}

#else

int gmi_usable(void) { return 0; }

#endif
