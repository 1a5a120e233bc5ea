/* The longer forms of protocol/pack.h. Each reserves exactly what it writes, then writes it. */
#include "protocol/pack.h"

/* A tag, then `width` bytes big-endian: 0, 1, 2, 4 or 8. There is room. */
static void write_tagged(struct buffer *out, unsigned tag, unsigned width, uint64_t value)
{
    uint8_t *p = out->data + out->size;
    p[0] = (uint8_t)tag;
    switch (width) {
    case 0: break;
    case 1: p[1] = (uint8_t)value; break;
    case 2: put_u16(p + 1, (uint16_t)value); break;
    case 4: put_u32(p + 1, (uint32_t)value); break;
    default: put_u64(p + 1, value); break;
    }
    out->size += 1 + width;
}

int pack_uint_long(struct buffer *out, uint64_t value)
{
    unsigned step = value > UINT32_MAX ? 3 : value > UINT16_MAX ? 2 : value > UINT8_MAX;
    unsigned width = value < 0x80 ? 0 : 1U << step;
    int rv = buffer_reserve(out, 1 + width);
    if (rv != HF_OK) return rv;
    write_tagged(out, width == 0 ? (unsigned)value : 0xcc + step, width, value);
    return HF_OK;
}

int pack_status(struct buffer *out, int32_t value)
{
    HF_ASSERT(value <= 0 && value >= INT16_MIN);
    unsigned width = value >= -32 ? 0 : value >= INT8_MIN ? 1 : 2;
    int rv = buffer_reserve(out, 1 + width);
    if (rv != HF_OK) return rv;
    unsigned tag = width == 0 ? (unsigned)value & 0xff : 0xd0 + width - 1;
    write_tagged(out, tag, width, (uint64_t)value);
    return HF_OK;
}

int pack_array_long(struct buffer *out, uint32_t count)
{
    unsigned width = count < 16 ? 0 : count <= UINT16_MAX ? 2 : 4;
    int rv = buffer_reserve(out, 1 + width);
    if (rv != HF_OK) return rv;
    unsigned tag = width == 0 ? 0x90 | count : width == 2 ? 0xdc : 0xdd;
    write_tagged(out, tag, width, count);
    return HF_OK;
}

int pack_bytes(struct buffer *out, enum pack_family family, struct slice bytes)
{
    HF_ASSERT(bytes.size <= UINT32_MAX);
    bool is_short = family == PACK_STR && bytes.size < 32;
    unsigned step = bytes.size > UINT16_MAX ? 2 : bytes.size > UINT8_MAX;
    unsigned width = is_short ? 0 : 1U << step;
    int rv = buffer_reserve(out, 1 + width + bytes.size);
    if (rv != HF_OK) return rv;
    unsigned tag = is_short ? 0xa0 | (unsigned)bytes.size : (unsigned)family + step;
    write_tagged(out, tag, width, bytes.size);
    if (bytes.size != 0) memcpy(out->data + out->size, bytes.data, bytes.size);
    out->size += bytes.size;
    return HF_OK;
}
