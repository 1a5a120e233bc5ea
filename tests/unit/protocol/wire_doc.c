/* The annotated hexdumps of protocol/README.md, made by the code that speaks the protocol.
 *
 *     wire_doc             prints them
 *     wire_doc README.md   fails unless they stand in the file, between its two markers
 *
 * Happy path: a plain sample of a type is encoded, and its bytes are walked beside its
 * description: a line a field, eight bytes at most each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "protocol/entry.h"
#include "protocol/frame.h"
#include "tests/unit/dump.h"
#include "tests/unit/protocol/sample.h"

struct doc {
    struct dump dump;   /* the text */
    struct arena arena; /* samples */
};

static void must(int rv)
{
    HF_ASSERT(rv == HF_OK);
}

/* A bound as people write it. */
static const char *bound(uint64_t value, char text[24])
{
    if (value == UINT64_MAX) return "2^64-1";
    if (value == TOKEN_END - 1) return "2^63-1";
    if (value == TIME_MS_MAX) return "2^53";
    if (value == UINT32_MAX) return "2^32-1";
    snprintf(text, 24, "%" PRIu64, value);
    return text;
}

/* What a field is and may be, with this sample's value. */
static void describe(const struct codec_field *f, const void *in, char note[256])
{
    char value[96] = "";
    const char *unit = "";
    struct slice bytes = {NULL, 0};
    switch (f->kind) {
    case CODEC_U64: snprintf(value, sizeof value, " %" PRIu64, *(const uint64_t *)in); break;
    case CODEC_STATUS:
        snprintf(value, sizeof value, " %s, a status", status_name(*(const int32_t *)in));
        break;
    case CODEC_STR:
        bytes = *(const struct slice *)in;
        snprintf(value, sizeof value, " \"%.*s\"", (int)bytes.size, (const char *)bytes.data);
        unit = " bytes of text";
        break;
    case CODEC_BIN: unit = " bytes"; break;
    case CODEC_U64S: unit = " numbers"; break;
    case CODEC_STRS: unit = " strings of 1..255 bytes"; break;
    case CODEC_LIST: unit = " of:"; break;
    }
    char least[24];
    char most[24];
    const char *min = bound(f->min, least);
    const char *max = bound(f->max, most);
    const char *sign = f->kind == CODEC_STATUS && f->max != 0 ? "-" : "";
    if (f->min == f->max)
        snprintf(note, 256, "%s%s (%s%s)", f->name, value, min, unit);
    else
        snprintf(note, 256, "%s%s (%s..%s%s%s)", f->name, value, min, sign, max, unit);
}

/* One item of a list of strings or numbers. */
static void describe_item(const struct codec_field *f, const void *in, uint32_t i, char note[256])
{
    if (f->kind == CODEC_U64S) {
        snprintf(note, 256, "%" PRIu64, ((const struct codec_u64s *)in)->items[i]);
    } else {
        struct slice text = ((const struct codec_strs *)in)->items[i];
        snprintf(note, 256, "\"%.*s\"", (int)text.size, (const char *)text.data);
    }
}

/* Take the head of an array at `rest` off. */
static struct slice take_head(struct slice *rest)
{
    size_t size = (rest->data[0] & 0xf0) == 0x90 ? 1 : 3;
    struct slice head = slice_make(rest->data, size);
    *rest = slice_make(rest->data + size, rest->size - size);
    return head;
}

static struct slice take_value(struct slice *rest)
{
    struct slice value;
    must(codec_first(*rest, &value));
    *rest = slice_make(rest->data + value.size, rest->size - value.size);
    return value;
}

static void put_struct(struct doc *d, const struct codec_type *type, const void *in,
                       struct slice *rest, unsigned depth)
{
    char note[256];
    snprintf(note, sizeof note, "%s: %u field%s", type->name, type->field_count,
             type->field_count == 1 ? "" : "s");
    dump_line(&d->dump, take_head(rest), depth, note);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct codec_field *f = &type->fields[i];
        const void *at = (const uint8_t *)in + f->offset;
        const struct codec_list *list = at; /* the three lists begin alike */
        describe(f, at, note);
        if (f->kind == CODEC_LIST) {
            dump_line(&d->dump, take_head(rest), depth + 1, note);
            const uint8_t *items = list->items;
            for (uint32_t k = 0; k < list->count; k++) {
                put_struct(d, f->type, items + k * f->type->struct_bytes, rest, depth + 2);
            }
        } else if (f->kind == CODEC_STRS || f->kind == CODEC_U64S) {
            dump_line(&d->dump, take_head(rest), depth + 1, note);
            for (uint32_t k = 0; k < list->count; k++) {
                describe_item(f, at, k, note);
                dump_line(&d->dump, take_value(rest), depth + 2, note);
            }
        } else {
            dump_line(&d->dump, take_value(rest), depth + 1, note);
        }
    }
}

/* A body alone, under a heading. */
static void put_message(struct doc *d, const struct codec_type *type, const char *heading)
{
    if (type == &msg_empty_type) {
        dump_put(&d->dump, "\n#### %s\n\n`90`, msg_empty: an array of nothing.\n", heading);
        return;
    }
    union sample in;
    struct buffer bytes;
    arena_reset(&d->arena);
    buffer_init(&bytes, FRAME_BYTES_MAX);
    sample_plain(type, &d->arena, &in);
    must(codec_encode(type, &in, &bytes));
    struct slice rest = buffer_slice(&bytes);
    dump_put(&d->dump, "\n#### %s\n\n```\n", heading);
    put_struct(d, type, &in, &rest, 0);
    HF_ASSERT(rest.size == 0);
    dump_put(&d->dump, "```\n");
    buffer_close(&bytes);
}

/* ------------------------------------------------------------------ frames */

/* A whole request, so that one is seen from its first byte to its last. */
static void put_request_frame(struct doc *d, uint16_t op, const struct client_envelope *envelope,
                              const void *request)
{
    struct buffer bytes;
    char note[64];
    buffer_init(&bytes, FRAME_BYTES_MAX);
    must(frame_write_request(&bytes, op, 1, envelope, request));
    struct slice rest = buffer_slice(&bytes);
    dump_put(&d->dump, "\n#### A whole request: %s\n\n```\n", op_find(op)->name);
    snprintf(note, sizeof note, "%zu bytes in all", rest.size);
    dump_part(&d->dump, &rest, 4, note);
    snprintf(note, sizeof note, "op %u, %s", op, op_find(op)->name);
    dump_part(&d->dump, &rest, 2, note);
    dump_part(&d->dump, &rest, 2, "reserved");
    dump_part(&d->dump, &rest, 8, "request id 1");
    put_struct(d, &client_envelope_type, envelope, &rest, 0);
    put_struct(d, op_find(op)->request, request, &rest, 0);
    dump_put(&d->dump, "```\n");
    buffer_close(&bytes);
}

static void put_reply_frame(struct doc *d)
{
    struct buffer body;
    struct buffer bytes;
    struct msg_granted granted = {.fencing_token = 41, .waited = 1, .count = 1};
    buffer_init(&body, FRAME_BYTES_MAX);
    buffer_init(&bytes, FRAME_BYTES_MAX);
    must(codec_encode(&msg_granted_type, &granted, &body));
    struct reply_frame reply = {.status = HF_OK,
                                .flags = REPLY_REPEATED | REPLY_STANDS,
                                .request_id = 1,
                                .body = buffer_slice(&body)};
    must(frame_write_reply(&bytes, &reply));
    struct slice rest = buffer_slice(&bytes);
    dump_put(&d->dump, "\n#### A whole reply: a repeated GRANTED that still stands\n\n```\n");
    dump_part(&d->dump, &rest, 4, "20 bytes in all");
    HF_ASSERT(bytes.size == 20);
    dump_part(&d->dump, &rest, 2, "status 0, OK");
    dump_part(&d->dump, &rest, 1, "class 0, done");
    dump_part(&d->dump, &rest, 1, "flags REPEATED (1) and STANDS (2)");
    dump_part(&d->dump, &rest, 8, "request id 1");
    put_struct(d, &msg_granted_type, &granted, &rest, 0);
    dump_put(&d->dump, "```\n");
    buffer_close(&body);
    buffer_close(&bytes);
}

static void put_entry(struct doc *d)
{
    struct buffer body;
    struct buffer bytes;
    struct msg_release release = {.name = slice_of("a"), .fencing_token = 41, .owner = 12};
    struct envelope envelope = {.session = 7,
                                .seq = 4,
                                .ack = 3,
                                .renews = 1,
                                .principal = slice_of("anonymous"),
                                .peer = slice_of("10.0.0.9:40112")};
    buffer_init(&body, FRAME_BYTES_MAX);
    buffer_init(&bytes, ENTRY_BYTES_MAX);
    must(codec_encode(&msg_release_type, &release, &body));
    must(entry_begin(&bytes));
    must(entry_add(&bytes, OP_CODE_RELEASE, &envelope, buffer_slice(&body)));
    entry_close(&bytes, 0, 60000, UINT64_C(1767225600000));
    struct slice rest = buffer_slice(&bytes);
    char note[64];
    dump_put(&d->dump, "\n#### A log entry of one op: RELEASE\n\n```\n");
    dump_part(&d->dump, &rest, 2, "version 1");
    dump_part(&d->dump, &rest, 2, "reserved");
    dump_part(&d->dump, &rest, 4, "1 op");
    dump_part(&d->dump, &rest, 8, "cluster time, 60000 ms");
    dump_part(&d->dump, &rest, 8, "wall clock, ms since 1970: 2026-01-01");
    snprintf(note, sizeof note, "the op has %u bytes", get_u32(rest.data));
    dump_part(&d->dump, &rest, 4, note);
    dump_part(&d->dump, &rest, 2, "op 21, RELEASE");
    dump_part(&d->dump, &rest, 2, "reserved");
    put_struct(d, &envelope_type, &envelope, &rest, 0);
    put_struct(d, &msg_release_type, &release, &rest, 0);
    HF_ASSERT(rest.size == 0);
    dump_put(&d->dump, "```\n");
    buffer_close(&body);
    buffer_close(&bytes);
}

static void put_frames(struct doc *d)
{
    struct client_envelope none = {0};
    struct msg_hello hello = {.version_min = 1, .version_max = 1, .name = slice_of("pay-7")};
    put_request_frame(d, OP_CODE_HELLO, &none, &hello);
    struct slice name = slice_of("orders/42");
    struct client_envelope envelope = {.session = 7, .seq = 3, .ack = 2, .renews = 1};
    struct msg_acquire acquire = {
        .names = {&name, 1}, .owner = 12, .wait_ms = 5000, .meta = slice_of("host-a")};
    put_request_frame(d, OP_CODE_ACQUIRE, &envelope, &acquire);
    put_reply_frame(d);
    put_entry(d);
}

/* ------------------------------------------------------------------ the document */

static void put_all(struct doc *d)
{
    char heading[160];
    dump_put(&d->dump, "\n### Frames\n");
    put_frames(d);
    dump_put(&d->dump, "\n### Requests and their answers\n");
    for (uint16_t code = 0; code <= OP_CODE_MAX; code++) {
        const struct op_info *info = op_find(code);
        if (info == NULL) continue;
        snprintf(heading, sizeof heading, "%s (%u), request", info->name, code);
        put_message(d, info->request, heading);
        snprintf(heading, sizeof heading, "%s, answer on OK", info->name);
        put_message(d, info->answer, heading);
    }
    dump_put(&d->dump, "\n### Details of other answers\n");
    for (int status = -1; status >= -999; status--) { /* COMPLETE has a detail with STALE_TOKEN */
        const struct codec_type *type = op_reply_type(OP_CODE_COMPLETE, status);
        if (type == &msg_empty_type) continue;
        snprintf(heading, sizeof heading, "%s (%d)%s", status_name(status), status,
                 status == HF_ESTALE ? " of a record" : "");
        put_message(d, type, heading);
    }
    dump_put(&d->dump, "\n");
}

int main(int argc, char **argv)
{
    struct doc d;
    dump_init(&d.dump);
    must(arena_init(&d.arena, SAMPLE_ARENA_BYTES));
    put_all(&d);
    int rv = dump_end(&d.dump, "wire_doc", argc > 1 ? argv[1] : NULL);
    arena_close(&d.arena);
    return rv;
}
