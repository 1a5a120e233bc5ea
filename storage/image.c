/* Writing and strict reading of images (storage/image.h). */
#include "storage/image.h"

#include <stdlib.h>

#include "base/status.h"
#include "storage/row.h"

enum { MAGIC_BYTES = 8, ROW_HEAD_BYTES = 6, END = 0xff };

static const uint8_t magic[MAGIC_BYTES] = {'h', 'f', 'i', 'm', 'a', 'g', 'e', '1'};

int image_write_start(const struct mark_row *mark, store_sink_cb sink_cb, void *data)
{
    struct buffer encoded;
    buffer_init(&encoded, MARK_ROW_BYTES_MAX);
    int rv = mark_row_encode(mark, &encoded);
    if (rv != HF_OK) return rv;
    uint8_t head[MAGIC_BYTES + 4];
    memcpy(head, magic, MAGIC_BYTES);
    put_u32(head + MAGIC_BYTES, (uint32_t)encoded.size);
    rv = sink_cb(slice_make(head, sizeof head), data);
    if (rv == HF_OK) rv = sink_cb(buffer_slice(&encoded), data);
    buffer_close(&encoded);
    return rv;
}

int image_write_row(uint8_t table, struct slice key, struct slice value, store_sink_cb sink_cb,
                    void *data)
{
    HF_ASSERT(table < STORE_TABLE_COUNT_MAX);
    HF_ASSERT(key.size >= 1 && key.size <= STORE_KEY_BYTES_MAX);
    uint8_t head[1 + ROW_HEAD_BYTES + STORE_KEY_BYTES_MAX];
    head[0] = table;
    put_u16(head + 1, (uint16_t)key.size);
    put_u32(head + 3, (uint32_t)value.size);
    memcpy(head + 1 + ROW_HEAD_BYTES, key.data, key.size);
    int rv = sink_cb(slice_make(head, 1 + ROW_HEAD_BYTES + key.size), data);
    if (rv != HF_OK || value.size == 0) return rv;
    return sink_cb(value, data);
}

int image_write_end(store_sink_cb sink_cb, void *data)
{
    uint8_t end = END;
    return sink_cb(slice_make(&end, 1), data);
}

/* ------------------------------------------------------------------ reading */

struct reader {
    store_source_cb source_cb;
    void *source;
    image_row_cb row_cb;
    void *rows;
    uint8_t *value;                         /* owned, STORE_VALUE_BYTES_MAX */
    struct hash128 digest;                  /* of the rows so far */
    uint64_t counts[STORE_TABLE_COUNT_MAX]; /* rows so far */
    uint8_t table;                          /* of the last row */
    size_t key_bytes;                       /* of the last row; 0 = none yet */
    uint8_t key[STORE_KEY_BYTES_MAX];       /* of the last row */
};

static int read_start(struct reader *r, struct buffer *mark_bytes, struct mark_row *mark)
{
    uint8_t head[MAGIC_BYTES + 4];
    int rv = r->source_cb(head, sizeof head, r->source);
    if (rv != HF_OK) return rv;
    if (memcmp(head, magic, MAGIC_BYTES) != 0) return HF_ECORRUPT;
    size_t size = get_u32(head + MAGIC_BYTES);
    if (size > MARK_ROW_BYTES_MAX) return HF_ECORRUPT;
    rv = buffer_reserve(mark_bytes, size);
    if (rv == HF_OK) rv = r->source_cb(mark_bytes->data, size, r->source);
    if (rv != HF_OK) return rv;
    mark_bytes->size = size;
    return mark_row_decode(buffer_slice(mark_bytes), mark);
}

/* The rest of a row whose table was read. */
static int read_row(struct reader *r, uint8_t table)
{
    uint8_t head[ROW_HEAD_BYTES];
    uint8_t key_bytes[STORE_KEY_BYTES_MAX];
    int rv = r->source_cb(head, sizeof head, r->source);
    if (rv != HF_OK) return rv;
    struct slice key = slice_make(key_bytes, get_u16(head));
    struct slice value = slice_make(r->value, get_u32(head + 2));
    if (table >= STORE_TABLE_COUNT_MAX || value.size > STORE_VALUE_BYTES_MAX) return HF_ECORRUPT;
    if (key.size < 1 || key.size > STORE_KEY_BYTES_MAX) return HF_ECORRUPT;
    rv = r->source_cb(key_bytes, key.size, r->source);
    if (rv == HF_OK && value.size > 0) rv = r->source_cb(r->value, value.size, r->source);
    if (rv != HF_OK) return rv;

    bool is_first = r->key_bytes == 0;
    if (!is_first && table < r->table) return HF_ECORRUPT;
    if (!is_first && table == r->table && slice_compare(key, slice_make(r->key, r->key_bytes)) <= 0)
        return HF_ECORRUPT;
    r->table = table;
    r->key_bytes = key.size;
    memcpy(r->key, key.data, key.size);
    struct hash128 hash = row_hash(table, key, value);
    r->digest = digest_add(r->digest, hash);
    r->counts[table] += 1;
    return r->row_cb(table, key, value, hash, r->rows);
}

int image_read(store_source_cb source_cb, void *source, image_row_cb row_cb, void *rows,
               struct buffer *mark_bytes, struct mark_row *mark)
{
    HF_ASSERT(mark_bytes->size == 0);
    HF_ASSERT(mark_bytes->bytes_max >= MARK_ROW_BYTES_MAX);
    struct reader r = {.source_cb = source_cb, .source = source, .row_cb = row_cb, .rows = rows};
    r.value = malloc(STORE_VALUE_BYTES_MAX);
    if (r.value == NULL) return HF_ENOMEM;
    struct mark_row found;
    int rv = read_start(&r, mark_bytes, &found);
    uint8_t table = 0;
    while (rv == HF_OK) {
        rv = source_cb(&table, 1, source);
        if (rv == HF_OK && table == END) break;
        if (rv == HF_OK) rv = read_row(&r, table);
    }
    free(r.value);
    if (rv != HF_OK) return rv;
    if (!row_hash_equal(r.digest, found.digest)) return HF_ECORRUPT;
    if (memcmp(r.counts, found.counts, sizeof r.counts) != 0) return HF_ECORRUPT;
    *mark = found;
    return HF_OK;
}
