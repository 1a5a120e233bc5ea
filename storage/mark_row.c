/* Encoding and strict decoding of the store's own row (storage/mark_row.h). */
#include "storage/mark_row.h"

#include "base/status.h"
#include "storage/row.h"

enum { FIXED_BYTES = MARK_ROW_BYTES_MAX - STORE_CONFIG_BYTES_MAX };

struct slice mark_row_key(void)
{
    return slice_of("mark");
}

int mark_row_encode(const struct mark_row *row, struct buffer *out)
{
    struct slice configuration = row->mark.configuration;
    HF_ASSERT(configuration.size <= STORE_CONFIG_BYTES_MAX);
    HF_ASSERT(out->size == 0);
    int rv = buffer_reserve(out, FIXED_BYTES + configuration.size);
    if (rv != HF_OK) return rv;
    uint8_t *p = out->data + HASH128_BYTES;
    put_u32(p, MARK_ROW_FORMAT);
    put_u64(p + 4, row->sequence);
    put_u64(p + 12, row->mark.index);
    put_u64(p + 20, row->mark.term);
    put_u64(p + 28, row->mark.configuration_index);
    put_hash128(p + 36, row->digest);
    put_u32(p + 52, STORE_TABLE_COUNT_MAX);
    p += 56;
    for (unsigned i = 0; i < STORE_TABLE_COUNT_MAX; i++, p += 8) put_u64(p, row->counts[i]);
    put_u32(p, (uint32_t)configuration.size);
    if (configuration.size > 0) memcpy(p + 4, configuration.data, configuration.size);
    out->size = FIXED_BYTES + configuration.size;
    HF_ASSERT(p + 4 == out->data + FIXED_BYTES);

    struct slice payload = slice_make(out->data + HASH128_BYTES, out->size - HASH128_BYTES);
    put_hash128(out->data, row_hash(MARK_ROW_TABLE, mark_row_key(), payload));
    return HF_OK;
}

int mark_row_decode(struct slice value, struct mark_row *row)
{
    if (value.size < FIXED_BYTES || value.size > MARK_ROW_BYTES_MAX) return HF_ECORRUPT;
    struct slice payload = slice_make(value.data + HASH128_BYTES, value.size - HASH128_BYTES);
    struct hash128 want = row_hash(MARK_ROW_TABLE, mark_row_key(), payload);
    if (!row_hash_equal(row_hash_read(value.data), want)) return HF_ECORRUPT;
    const uint8_t *p = payload.data;
    if (get_u32(p) != MARK_ROW_FORMAT) return HF_EVERSION;
    if (get_u32(p + 52) != STORE_TABLE_COUNT_MAX) return HF_ECORRUPT;
    struct mark_row out = {
        .sequence = get_u64(p + 4),
        .mark = {.index = get_u64(p + 12),
                 .term = get_u64(p + 20),
                 .configuration_index = get_u64(p + 28)},
        .digest = {.high = get_u64(p + 36), .low = get_u64(p + 44)},
    };
    p += 56;
    for (unsigned i = 0; i < STORE_TABLE_COUNT_MAX; i++, p += 8) out.counts[i] = get_u64(p);
    out.mark.configuration = slice_make(p + 4, get_u32(p));
    if (out.mark.configuration.size != value.size - FIXED_BYTES) return HF_ECORRUPT;
    *row = out;
    return HF_OK;
}
