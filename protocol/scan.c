/* The longer forms of the cursor in protocol/scan.h, stepping over whole values, and UTF-8.
 * Happy path: tag, big-endian number, "is it the shortest form", "are so many bytes left".
 * Failure: HF_EBADREQUEST, always before anything is read past the end. */
#include "protocol/scan.h"

#include "protocol/limits.h"

/* Big-endian, `width` bytes: 1, 2, 4 or 8. */
static uint64_t read_wide(const uint8_t *p, unsigned width)
{
    switch (width) {
    case 1: return p[0];
    case 2: return get_u16(p);
    case 4: return get_u32(p);
    default: return get_u64(p);
    }
}

/* The least value that needs `width` bytes, given that `small` and less have a shorter form. */
static uint64_t width_floor(unsigned width, uint64_t small)
{
    return width == 1 ? small : UINT64_C(1) << (width * 4);
}

int scan_uint_long(struct scan *s, uint64_t *value)
{
    HF_ASSERT(s->at < s->end);
    unsigned tag = *s->at;
    if (tag < 0xcc || tag > 0xcf) return HF_EBADREQUEST;
    unsigned width = 1U << (tag - 0xcc);
    if (scan_left(s) <= width) return HF_EBADREQUEST;

    uint64_t wide = read_wide(s->at + 1, width);
    if (wide < width_floor(width, 0x80)) return HF_EBADREQUEST; /* has a shorter form */
    *value = wide;
    s->at += 1 + width;
    return HF_OK;
}

int scan_status(struct scan *s, int32_t *value)
{
    size_t left = scan_left(s);
    if (left == 0) return HF_EBADREQUEST;
    unsigned tag = *s->at;
    if (tag == 0) {
        *value = 0;
        s->at += 1;
    } else if (tag >= 0xe0) { /* -32 .. -1 */
        *value = (int32_t)tag - 0x100;
        s->at += 1;
    } else if (tag == 0xd0 && left >= 2) {
        *value = (int8_t)s->at[1];
        if (*value >= -32) return HF_EBADREQUEST;
        s->at += 2;
    } else if (tag == 0xd1 && left >= 3) {
        *value = (int16_t)get_u16(s->at + 1);
        if (*value >= INT8_MIN) return HF_EBADREQUEST;
        s->at += 3;
    } else {
        return HF_EBADREQUEST;
    }
    return HF_OK;
}

int scan_size_long(struct scan *s, enum scan_family family, uint32_t *size)
{
    HF_ASSERT(s->at < s->end);
    /* The first tag of a family, the width that it stands for, and what is shorter still. */
    unsigned width_first = family == SCAN_ARRAY ? 2 : 1;
    uint64_t small = family == SCAN_STR ? 32 : 0;
    unsigned tag = *s->at;
    unsigned first = (unsigned)family;
    unsigned last = family == SCAN_ARRAY ? first + 1 : first + 2;
    if (tag < first || tag > last) return HF_EBADREQUEST;
    unsigned width = width_first << (tag - first);
    if (scan_left(s) <= width) return HF_EBADREQUEST;

    uint64_t wide = read_wide(s->at + 1, width);
    uint64_t floor = family == SCAN_ARRAY && width == 2 ? 16 : width_floor(width, small);
    if (wide < floor) return HF_EBADREQUEST; /* has a shorter form */
    s->at += 1 + width;
    if (wide > scan_left(s)) return HF_EBADREQUEST;
    *size = (uint32_t)wide;
    return HF_OK;
}

int scan_skip(struct scan *s, unsigned depth)
{
    if (s->at == s->end) return HF_EBADREQUEST;
    unsigned tag = *s->at;
    if (tag <= 0x7f || (tag >= 0xcc && tag <= 0xcf)) {
        uint64_t number;
        return scan_uint(s, &number);
    }
    if (tag >= 0xe0 || tag == 0xd0 || tag == 0xd1) {
        int32_t status;
        return scan_status(s, &status);
    }
    struct slice bytes;
    if ((tag & 0xe0) == 0xa0 || (tag >= 0xd9 && tag <= 0xdb)) {
        int rv = scan_bytes(s, SCAN_STR, &bytes);
        if (rv != HF_OK) return rv;
        return scan_is_text(bytes) ? HF_OK : HF_EBADREQUEST;
    }
    if (tag >= 0xc4 && tag <= 0xc6) return scan_bytes(s, SCAN_BIN, &bytes);

    /* An array, or (scan_array refuses it) one of the kinds that no message of ours has. */
    uint32_t count;
    int rv = scan_array(s, &count);
    if (rv != HF_OK) return rv;
    if (depth >= NESTING_MAX || count > LIST_ITEMS_MAX) return HF_EBADREQUEST;
    for (uint32_t i = 0; i < count; i++) {
        rv = scan_skip(s, depth + 1);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

/* ------------------------------------------------------------------ UTF-8 */

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the well-formed sequence at p, which does not start with ASCII; 0 = there is none.
 * The second byte's narrower ranges are those of the Unicode standard's table 3-7. */
static size_t sequence_bytes(const uint8_t *p, size_t left)
{
    uint8_t lead = p[0];
    if (lead >= 0xc2 && lead <= 0xdf) return left >= 2 && is_tail(p[1]) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (left < 3 || !is_tail(p[1]) || !is_tail(p[2])) return 0;
        if (lead == 0xe0 && p[1] < 0xa0) return 0;  /* overlong */
        if (lead == 0xed && p[1] >= 0xa0) return 0; /* surrogate */
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (left < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3])) return 0;
        if (lead == 0xf0 && p[1] < 0x90) return 0;  /* overlong */
        if (lead == 0xf4 && p[1] >= 0x90) return 0; /* above U+10FFFF */
        return 4;
    }
    return 0;
}

bool scan_is_text(struct slice text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint8_t *p = text.data;
    size_t left = text.size;
    while (left > 0) {
        if (left >= 8) { /* eight plain bytes at once: no top bit, and none of them zero */
            uint64_t word;
            memcpy(&word, p, sizeof word);
            if (((word | (word - ones)) & (ones << 7)) == 0) {
                p += 8;
                left -= 8;
                continue;
            }
        }
        size_t step = 1;
        if (*p == 0) return false;
        if (*p >= 0x80) step = sequence_bytes(p, left);
        if (step == 0) return false;
        p += step;
        left -= step;
    }
    return true;
}
