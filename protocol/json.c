/* A described struct as JSON (RFC 8259), for the command line and for tools: written here by hand
 * because only four shapes occur. A reader's double is exact up to 2^53, so a number of a field
 * that may pass it is a string in every message, not only where it happens to be large. */
#include "base/status.h"
#include "protocol/codec.h"
#include "protocol/limits.h"
#include "protocol/scan.h"

#include <inttypes.h>
#include <stdio.h>

static int put_raw(struct buffer *out, const char *text)
{
    return buffer_append(out, text, strlen(text));
}

static int put_number(struct buffer *out, uint64_t value, bool as_string)
{
    char text[32];
    const char *quote = as_string ? "\"" : "";
    int size = snprintf(text, sizeof text, "%s%" PRIu64 "%s", quote, value, quote);
    HF_ASSERT(size > 0 && (size_t)size < sizeof text);
    return buffer_append(out, text, (size_t)size);
}

/* What stands for one byte inside a JSON string: an escape, or NULL for itself. */
static const char *escape(uint8_t byte, char scratch[8])
{
    switch (byte) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\b': return "\\b";
    case '\f': return "\\f";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: break;
    }
    if (byte >= 0x20) return NULL;
    int size = snprintf(scratch, 8, "\\u%04x", byte);
    HF_ASSERT(size == 6);
    return scratch;
}

int codec_json_text(struct buffer *out, struct slice text)
{
    int rv = put_raw(out, "\"");
    size_t plain = 0; /* start of the bytes that stand for themselves */
    for (size_t i = 0; rv == HF_OK && i < text.size; i++) {
        char scratch[8];
        const char *escaped = escape(text.data[i], scratch);
        if (escaped == NULL) continue;
        rv = buffer_append(out, text.data + plain, i - plain);
        if (rv == HF_OK) rv = put_raw(out, escaped);
        plain = i + 1;
    }
    if (rv == HF_OK && plain < text.size) {
        rv = buffer_append(out, text.data + plain, text.size - plain);
    }
    return rv == HF_OK ? put_raw(out, "\"") : rv;
}

/* RFC 4648, section 4, padded. */
static int put_base64(struct buffer *out, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int rv = put_raw(out, "{\"base64\":\"");
    for (size_t i = 0; rv == HF_OK && i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        if (left > 1) group |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2) group |= bytes.data[i + 2];
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63], '=', '='};
        if (left > 1) text[2] = digits[group >> 6 & 63];
        if (left > 2) text[3] = digits[group & 63];
        rv = buffer_append(out, text, sizeof text);
    }
    return rv == HF_OK ? put_raw(out, "\"}") : rv;
}

static int put_status(struct buffer *out, int32_t status)
{
    const char *word = status_name(status);
    if (word[0] != '?') return codec_json_text(out, slice_of(word));
    int rv = put_raw(out, status < 0 ? "-" : "");
    return rv == HF_OK ? put_number(out, (uint64_t)(status < 0 ? -status : status), false) : rv;
}

static int put_struct(struct buffer *out, const struct codec_type *type, const void *in);

/* One item of a list of any kind. */
static int put_item(struct buffer *out, const struct codec_field *f, const void *in, uint32_t i)
{
    if (f->kind == CODEC_U64S) {
        /* Items have no range of their own in the description: tokens, so far. */
        return put_number(out, ((const struct codec_u64s *)in)->items[i], true);
    }
    if (f->kind == CODEC_STRS)
        return codec_json_text(out, ((const struct codec_strs *)in)->items[i]);
    const uint8_t *items = ((const struct codec_list *)in)->items;
    return put_struct(out, f->type, items + (size_t)i * f->type->struct_bytes);
}

static int put_items(struct buffer *out, const struct codec_field *f, const void *in)
{
    uint32_t count = f->kind == CODEC_U64S   ? ((const struct codec_u64s *)in)->count
                     : f->kind == CODEC_STRS ? ((const struct codec_strs *)in)->count
                                             : ((const struct codec_list *)in)->count;
    int rv = put_raw(out, "[");
    for (uint32_t i = 0; rv == HF_OK && i < count; i++) {
        if (i > 0) rv = put_raw(out, ",");
        if (rv == HF_OK) rv = put_item(out, f, in, i);
    }
    return rv == HF_OK ? put_raw(out, "]") : rv;
}

static int put_value(struct buffer *out, const struct codec_field *f, const void *in)
{
    switch (f->kind) {
    case CODEC_U64: return put_number(out, *(const uint64_t *)in, f->max > TIME_MS_MAX);
    case CODEC_STATUS: return put_status(out, *(const int32_t *)in);
    case CODEC_STR: return codec_json_text(out, *(const struct slice *)in);
    case CODEC_BIN: {
        struct slice bytes = *(const struct slice *)in;
        return scan_is_text(bytes) ? codec_json_text(out, bytes) : put_base64(out, bytes);
    }
    case CODEC_U64S:
    case CODEC_STRS:
    case CODEC_LIST: return put_items(out, f, in);
    }
    HF_UNREACHABLE();
}

static int put_struct(struct buffer *out, const struct codec_type *type, const void *in)
{
    int rv = put_raw(out, "{");
    if (rv == HF_OK && type->version != 0) {
        rv = put_raw(out, "\"row_version\":");
        if (rv == HF_OK) rv = put_number(out, type->version, false);
        if (rv == HF_OK && type->field_count > 0) rv = put_raw(out, ",");
    }
    for (uint32_t i = 0; rv == HF_OK && i < type->field_count; i++) {
        const struct codec_field *f = &type->fields[i];
        rv = put_raw(out, i > 0 ? ",\"" : "\"");
        if (rv == HF_OK) rv = put_raw(out, f->name);
        if (rv == HF_OK) rv = put_raw(out, "\":");
        if (rv == HF_OK) rv = put_value(out, f, (const uint8_t *)in + f->offset);
    }
    return rv == HF_OK ? put_raw(out, "}") : rv;
}

int codec_json(const struct codec_type *type, const void *in, struct buffer *out)
{
    HF_ASSERT(in != NULL);
    size_t size_before = out->size;
    int rv = put_struct(out, type, in);
    if (rv != HF_OK) out->size = size_before;
    return rv;
}
