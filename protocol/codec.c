/* The descriptor-driven encoder and decoder.
 *
 * msgpack-c would read by building a tree of objects in an allocated zone; it trusts a claimed
 * count with memory before it has seen the items, accepts longer forms (so that equal requests
 * could hash apart), and its tree would have to be walked a second time against the description.
 * Here one pass of a bounded cursor (protocol/scan.h) over the raw bytes checks and fills the
 * struct; nothing is allocated but a list's items, from the caller's arena, after their count was
 * held against the bytes that are left. Writing (protocol/pack.h) is on the path of every row that
 * the machine keeps: msgpack-c's packer calls back for each value, and took three times the
 * instructions. A test holds what is written against msgpack-c's own.
 *
 * Failure modes: malformed or out of range (HF_EBADREQUEST), too long (HF_ETOOLARGE), a row of
 * another version (HF_EVERSION), the arena or the buffer full. All leave `out` as it was. */
#include "protocol/codec.h"

#include "base/status.h"
#include "protocol/limits.h"
#include "protocol/pack.h"
#include "protocol/scan.h"

enum {
    STRUCT_BYTES_MAX = 2048, /* of a described struct: decoded on the stack first */
    STATUS_MAX = 999,
};

_Static_assert(sizeof(struct slice) % 8 == 0, "slices stand in arrays");

/* ------------------------------------------------------------------ ranges */

static int check_u64(const struct codec_field *f, uint64_t value)
{
    return value >= f->min && value <= f->max ? HF_OK : HF_EBADREQUEST;
}

static int check_status(const struct codec_field *f, int32_t status)
{
    if (status > 0 || status < -STATUS_MAX) return HF_EBADREQUEST;
    return check_u64(f, (uint64_t)-status);
}

/* Bytes or items of a field. */
static int check_size(const struct codec_field *f, uint64_t size)
{
    if (size > f->max) return HF_ETOOLARGE;
    return size >= f->min ? HF_OK : HF_EBADREQUEST;
}

static int check_text(const struct codec_field *f, struct slice text)
{
    int rv = check_size(f, text.size);
    if (rv != HF_OK) return rv;
    return scan_is_text(text) ? HF_OK : HF_EBADREQUEST;
}

/* One string of a CODEC_STRS. */
static int check_item(struct slice text)
{
    if (text.size > NAME_BYTES_MAX) return HF_ETOOLARGE;
    return text.size > 0 && scan_is_text(text) ? HF_OK : HF_EBADREQUEST;
}

/* ------------------------------------------------------------------ decoding */

/* A run over one message. */
struct decode {
    struct scan scan;    /* what is not read yet */
    struct arena *arena; /* for the items of lists */
};

static int decode_struct(struct decode *d, const struct codec_type *type, unsigned depth,
                         uint8_t *out);

/* Read a list's head and take memory for its items; none for none. Every item is at least
 * `item_wire_min` bytes on the wire, so a message cannot ask for more than a small multiple of
 * its own size. */
static int take_items(struct decode *d, const struct codec_field *f, size_t item_wire_min,
                      size_t item_bytes, uint32_t *count, void **items)
{
    HF_ASSERT(d->arena != NULL);
    int rv = scan_array(&d->scan, count);
    if (rv != HF_OK) return rv;
    if (*count * item_wire_min > scan_left(&d->scan)) return HF_EBADREQUEST;
    rv = check_size(f, *count);
    if (rv != HF_OK) return rv;

    *items = NULL;
    if (*count == 0) return HF_OK;
    *items = arena_take(d->arena, *count * item_bytes);
    return *items != NULL ? HF_OK : HF_ENOMEM;
}

static int decode_u64s(struct decode *d, const struct codec_field *f, void *out)
{
    uint32_t count;
    void *items;
    int rv = take_items(d, f, 1, sizeof(uint64_t), &count, &items);
    if (rv != HF_OK) return rv;
    uint64_t *numbers = items;
    for (uint32_t i = 0; i < count; i++) {
        rv = scan_uint(&d->scan, &numbers[i]);
        if (rv != HF_OK) return rv;
    }
    memcpy(out, &(struct codec_u64s){numbers, count}, sizeof(struct codec_u64s));
    return HF_OK;
}

static int decode_strs(struct decode *d, const struct codec_field *f, void *out)
{
    uint32_t count;
    void *items;
    int rv = take_items(d, f, 2, sizeof(struct slice), &count, &items);
    if (rv != HF_OK) return rv;
    struct slice *texts = items;
    for (uint32_t i = 0; i < count; i++) {
        rv = scan_bytes(&d->scan, SCAN_STR, &texts[i]);
        if (rv != HF_OK) return rv;
        rv = check_item(texts[i]);
        if (rv != HF_OK) return rv;
    }
    memcpy(out, &(struct codec_strs){texts, count}, sizeof(struct codec_strs));
    return HF_OK;
}

static int decode_list(struct decode *d, const struct codec_field *f, unsigned depth, void *out)
{
    const struct codec_type *type = f->type;
    uint32_t count;
    void *items;
    int rv = take_items(d, f, 1 + type->field_count, type->struct_bytes, &count, &items);
    if (rv != HF_OK) return rv;
    uint8_t *item = items;
    for (uint32_t i = 0; i < count; i++) {
        rv = decode_struct(d, type, depth + 2, item);
        if (rv != HF_OK) return rv;
        item += type->struct_bytes;
    }
    memcpy(out, &(struct codec_list){items, count}, sizeof(struct codec_list));
    return HF_OK;
}

static int decode_bytes(struct decode *d, const struct codec_field *f, void *out)
{
    bool is_text = f->kind == CODEC_STR;
    struct slice bytes;
    int rv = scan_bytes(&d->scan, is_text ? SCAN_STR : SCAN_BIN, &bytes);
    if (rv != HF_OK) return rv;
    rv = is_text ? check_text(f, bytes) : check_size(f, bytes.size);
    if (rv != HF_OK) return rv;
    memcpy(out, &bytes, sizeof bytes);
    return HF_OK;
}

static int decode_status(struct decode *d, const struct codec_field *f, void *out)
{
    int32_t status;
    int rv = scan_status(&d->scan, &status);
    if (rv != HF_OK) return rv;
    rv = check_status(f, status);
    if (rv != HF_OK) return rv;
    memcpy(out, &status, sizeof status);
    return HF_OK;
}

static inline int decode_u64(struct decode *d, const struct codec_field *f, void *out)
{
    uint64_t value;
    int rv = scan_uint(&d->scan, &value);
    if (rv != HF_OK) return rv;
    memcpy(out, &value, sizeof value);
    return check_u64(f, value);
}

static int decode_field(struct decode *d, const struct codec_field *f, unsigned depth, void *out)
{
    switch (f->kind) {
    case CODEC_U64: return decode_u64(d, f, out);
    case CODEC_STATUS: return decode_status(d, f, out);
    case CODEC_STR:
    case CODEC_BIN: return decode_bytes(d, f, out);
    case CODEC_U64S: return decode_u64s(d, f, out);
    case CODEC_STRS: return decode_strs(d, f, out);
    case CODEC_LIST: return decode_list(d, f, depth, out);
    }
    HF_UNREACHABLE();
}

/* The array's head, and a row's version. The version is looked at before the count: a row of
 * another version may well have another number of fields. */
static int decode_head(struct decode *d, const struct codec_type *type)
{
    uint32_t count;
    int rv = scan_array(&d->scan, &count);
    if (rv != HF_OK) return rv;
    uint32_t expected = type->field_count;
    if (type->version != 0) {
        uint64_t version;
        if (count == 0) return HF_EBADREQUEST;
        rv = scan_uint(&d->scan, &version);
        if (rv != HF_OK) return rv;
        if (version != type->version) return HF_EVERSION;
        expected += 1;
    }
    return count == expected ? HF_OK : HF_EBADREQUEST;
}

static int decode_struct(struct decode *d, const struct codec_type *type, unsigned depth,
                         uint8_t *out)
{
    HF_ASSERT(depth < NESTING_MAX); /* the descriptions decide it, not the bytes */
    int rv = decode_head(d, type);
    if (rv != HF_OK) return rv;

    memset(out, 0, type->struct_bytes); /* padding too */
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_field *f = &type->fields[i];
        rv = decode_field(d, f, depth, out + f->offset);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

int codec_decode(const struct codec_type *type, struct slice bytes, struct arena *arena, void *out)
{
    HF_ASSERT(type->struct_bytes <= STRUCT_BYTES_MAX);
    HF_ASSERT(bytes.data != NULL || bytes.size == 0);
    _Alignas(16) uint8_t draft[STRUCT_BYTES_MAX];
    struct decode d = {.scan = scan_open(bytes), .arena = arena};
    int rv = decode_struct(&d, type, 0, draft);
    if (rv != HF_OK) return rv;
    if (scan_left(&d.scan) != 0) return HF_EBADREQUEST;
    memcpy(out, draft, type->struct_bytes);
    return HF_OK;
}

int codec_first(struct slice bytes, struct slice *value)
{
    struct scan scan = scan_open(bytes);
    int rv = scan_skip(&scan, 0);
    if (rv != HF_OK) return rv;
    *value = slice_make(bytes.data, bytes.size - scan_left(&scan));
    return HF_OK;
}

/* ------------------------------------------------------------------ checking */

static int check_struct(const struct codec_type *type, const void *in);

static int check_list(const struct codec_field *f, const struct codec_list *list)
{
    int rv = check_size(f, list->count);
    const uint8_t *item = list->items;
    for (uint32_t i = 0; rv == HF_OK && i < list->count; i++) {
        rv = check_struct(f->type, item);
        item += f->type->struct_bytes;
    }
    return rv;
}

static int check_strs(const struct codec_field *f, const struct codec_strs *strs)
{
    int rv = check_size(f, strs->count);
    for (uint32_t i = 0; rv == HF_OK && i < strs->count; i++) rv = check_item(strs->items[i]);
    return rv;
}

static int check_field(const struct codec_field *f, const void *in)
{
    switch (f->kind) {
    case CODEC_U64: return check_u64(f, *(const uint64_t *)in);
    case CODEC_STATUS: return check_status(f, *(const int32_t *)in);
    case CODEC_STR: return check_text(f, *(const struct slice *)in);
    case CODEC_BIN: return check_size(f, ((const struct slice *)in)->size);
    case CODEC_U64S: return check_size(f, ((const struct codec_u64s *)in)->count);
    case CODEC_STRS: return check_strs(f, in);
    case CODEC_LIST: return check_list(f, in);
    }
    HF_UNREACHABLE();
}

static int check_struct(const struct codec_type *type, const void *in)
{
    int rv = HF_OK;
    for (uint32_t i = 0; rv == HF_OK && i < type->field_count; i++) {
        rv = check_field(&type->fields[i], (const uint8_t *)in + type->fields[i].offset);
    }
    return rv;
}

int codec_check(const struct codec_type *type, const void *in)
{
    return check_struct(type, in);
}

/* ------------------------------------------------------------------ encoding */

static int encode_struct(struct buffer *out, const struct codec_type *type, const void *in);

static int encode_u64s(struct buffer *out, const struct codec_u64s *u64s)
{
    int rv = pack_array(out, u64s->count);
    for (uint32_t i = 0; rv == HF_OK && i < u64s->count; i++) rv = pack_uint(out, u64s->items[i]);
    return rv;
}

static int encode_strs(struct buffer *out, const struct codec_strs *strs)
{
    int rv = pack_array(out, strs->count);
    for (uint32_t i = 0; rv == HF_OK && i < strs->count; i++) {
        HF_ASSERT(check_item(strs->items[i]) == HF_OK);
        rv = pack_bytes(out, PACK_STR, strs->items[i]);
    }
    return rv;
}

static int encode_list(struct buffer *out, const struct codec_type *type,
                       const struct codec_list *list)
{
    int rv = pack_array(out, list->count);
    const uint8_t *item = list->items;
    for (uint32_t i = 0; rv == HF_OK && i < list->count; i++) {
        rv = encode_struct(out, type, item);
        item += type->struct_bytes;
    }
    return rv;
}

/* The ranges that check_field() looks at, asserted; a list's items are asserted one by one. */
static int encode_field(struct buffer *out, const struct codec_field *f, const void *in)
{
    const struct slice *bytes = in;
    switch (f->kind) {
    case CODEC_U64:
        HF_ASSERT(check_u64(f, *(const uint64_t *)in) == HF_OK);
        return pack_uint(out, *(const uint64_t *)in);
    case CODEC_STATUS:
        HF_ASSERT(check_status(f, *(const int32_t *)in) == HF_OK);
        return pack_status(out, *(const int32_t *)in);
    case CODEC_STR:
        HF_ASSERT(check_text(f, *bytes) == HF_OK);
        return pack_bytes(out, PACK_STR, *bytes);
    case CODEC_BIN:
        HF_ASSERT(check_size(f, bytes->size) == HF_OK);
        return pack_bytes(out, PACK_BIN, *bytes);
    case CODEC_U64S:
        HF_ASSERT(check_size(f, ((const struct codec_u64s *)in)->count) == HF_OK);
        return encode_u64s(out, in);
    case CODEC_STRS:
        HF_ASSERT(check_size(f, ((const struct codec_strs *)in)->count) == HF_OK);
        return encode_strs(out, in);
    case CODEC_LIST:
        HF_ASSERT(check_size(f, ((const struct codec_list *)in)->count) == HF_OK);
        return encode_list(out, f->type, in);
    }
    HF_UNREACHABLE();
}

static int encode_struct(struct buffer *out, const struct codec_type *type, const void *in)
{
    int rv = pack_array(out, type->field_count + (type->version != 0));
    if (rv == HF_OK && type->version != 0) rv = pack_uint(out, type->version);
    for (uint32_t i = 0; rv == HF_OK && i < type->field_count; i++) {
        const struct codec_field *f = &type->fields[i];
        rv = encode_field(out, f, (const uint8_t *)in + f->offset);
    }
    return rv;
}

int codec_encode(const struct codec_type *type, const void *in, struct buffer *out)
{
    HF_ASSERT(in != NULL);
    size_t size_before = out->size;
    int rv = encode_struct(out, type, in);
    if (rv != HF_OK) out->size = size_before;
    return rv;
}
