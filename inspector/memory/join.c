/* Bytes of many ranges, put where they belong. A library without Python in it, loaded by joining.py, which has checked
   that all ranges lie in both arrays: it needs a compiler to be built, and no Python headers.
*/

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INTERFACE 1 /* What joining.py has to expect: raised with each change of a function's arguments. */
#define AHEAD 16 /* Ranges that are fetched from memory before their turn. */

int gmi_interface(void) { return INTERFACE; }

/* Copies `count` ranges: `sizes` bytes from `starts` of `data` on, to `at` of `out`. */
void gmi_join(const uint8_t *data, const int64_t *starts, const int64_t *sizes, const int64_t *at, size_t count,
              uint8_t *out) {
    for (size_t i = 0; i < count; i++) {
#if defined(__GNUC__)
        if (i + AHEAD < count) __builtin_prefetch(data + starts[i + AHEAD]);
#endif
        memcpy(out + at[i], data + starts[i], (size_t)sizes[i]);
    }
}
