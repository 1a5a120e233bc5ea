/* See the header. */
#include "client/core_recorder_line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/status.h"
#include "protocol/codec.h"
#include "protocol/words.h"

enum { FORMAT_VERSION = 2, MARGIN_MS = 1, TEXT_BYTES = 192 };

/* ------------------------------------------------------------------ members */

__attribute__((format(printf, 2, 3))) static void add(struct recorder_members *m,
                                                      const char *format, ...)
{
    char *at = m->text + m->size;
    size_t room = sizeof m->text - m->size;
    va_list args;
    if (m->size > 0 && m->text[m->size - 1] != '[') {
        HF_ASSERT(room > 1);
        *at++ = ',';
        room--;
        m->size++;
    }
    va_start(args, format);
    int size = vsnprintf(at, room, format, args);
    va_end(args);
    HF_ASSERT(size > 0 &&
              (size_t)size < room); /* the longest is a BEGIN's, below 300; a cycle's, 800 */
    m->size += (size_t)size;
}

void recorder_number(struct recorder_members *m, const char *name, uint64_t number)
{
    add(m, "\"%s\":%" PRIu64, name, number);
}

void recorder_flag(struct recorder_members *m, const char *name, bool flag)
{
    add(m, "\"%s\":%s", name, flag ? "true" : "false");
}

void recorder_text(struct recorder_members *m, const char *name, const char *text)
{
    add(m, "\"%s\":\"%s\"", name, text);
}

void recorder_owner(struct recorder_members *m, uint64_t session, uint64_t owner)
{
    if (owner == 0) {
        add(m, "\"owner\":\"%" PRIu64 "\"", session);
    } else {
        add(m, "\"owner\":\"%" PRIu64 "/%" PRIu64 "\"", session, owner);
    }
}

void recorder_list(struct recorder_members *m, const char *name)
{
    add(m, "\"%s\":[", name);
}

void recorder_list_owner(struct recorder_members *m, uint64_t session, uint64_t owner)
{
    add(m, "\"%" PRIu64 "/%" PRIu64 "\"", session, owner);
}

void recorder_list_end(struct recorder_members *m)
{
    HF_ASSERT(m->size + 1 < sizeof m->text);
    m->text[m->size++] = ']';
}

void recorder_hex(struct recorder_members *m, const char *name, struct slice bytes)
{
    char text[TEXT_BYTES];
    HF_ASSERT(bytes.size < sizeof text / 2);
    text[0] = '\0';
    for (size_t i = 0; i < bytes.size; i++) {
        int size = snprintf(text + 2 * i, 3, "%02x", bytes.data[i]);
        HF_ASSERT(size == 2);
    }
    recorder_text(m, name, text);
}

void recorder_response(struct recorder_members *m, uint64_t outcome, uint64_t code,
                       struct slice headers, struct slice body)
{
    HF_ASSERT(outcome == OUTCOME_DONE || outcome == OUTCOME_FAILED);
    const char *word = outcome == OUTCOME_DONE ? "done" : "failed";
    if (headers.size + body.size == 0) {
        add(m, "\"response\":\"%s %" PRIu64 " -\"", word, code);
        return;
    }
    uint64_t hash = hash64(headers.size, headers.data, headers.size);
    hash = hash64(hash, body.data, body.size);
    add(m, "\"response\":\"%s %" PRIu64 " %016" PRIx64 "\"", word, code, hash);
}

/* ------------------------------------------------------------------ lines */

static int put(struct buffer *out, const char *text)
{
    return buffer_append(out, text, strlen(text));
}

static int put_client(struct buffer *out, const struct recorder_line *line)
{
    if (line->part.size == 0) return codec_json_text(out, line->client);
    int rv = codec_json_text(out, line->client);
    if (rv != HF_OK) return rv;
    out->data[out->size - 1] = '/'; /* in place of the quote: one string */
    size_t at = out->size;
    rv = codec_json_text(out, line->part);
    if (rv != HF_OK) return rv;
    memmove(out->data + at, out->data + at + 1, out->size - at - 1);
    out->size -= 1;
    return HF_OK;
}

static int put_object(struct buffer *out, const char *name, const struct recorder_members *m)
{
    int rv = put(out, name);
    if (rv == HF_OK) rv = buffer_append(out, m->text, m->size);
    return rv == HF_OK ? put(out, "}") : rv;
}

/* Into the arguments, which have other members. */
static int put_names(struct buffer *out, const struct recorder_line *line)
{
    HF_ASSERT(line->args.size > 0 && out->data[out->size - 1] == '}');
    out->size -= 1;
    int rv = put(out, ",\"names\":[");
    for (size_t i = 0; i < line->name_count && rv == HF_OK; i++) {
        if (i > 0) rv = put(out, ",");
        if (rv == HF_OK) rv = codec_json_text(out, line->names[i]);
    }
    return rv == HF_OK ? put(out, "]}") : rv;
}

static int put_times(struct buffer *out, const struct recorder_line *line)
{
    static const char *const outcomes[] = {"ok", "fail", "unknown"};
    char text[TEXT_BYTES];
    char ret[24] = "null";
    if (line->outcome != RECORDED_UNKNOWN) {
        HF_ASSERT(line->ret_ns >= line->call_ns);
        (void)snprintf(ret, sizeof ret, "%" PRIu64, line->ret_ns);
    }
    int size = snprintf(text, sizeof text, ",\"call\":%" PRIu64 ",\"ret\":%s,\"outcome\":\"%s\"",
                        line->call_ns, ret, outcomes[line->outcome]);
    HF_ASSERT(size > 0 && (size_t)size < sizeof text);
    int rv = put(out, text);
    if (rv != HF_OK || line->outcome != RECORDED_FAIL) return rv;
    HF_ASSERT(line->error != NULL);
    size = snprintf(text, sizeof text, ",\"error\":\"%s\"", line->error);
    HF_ASSERT(size > 0 && (size_t)size < sizeof text);
    return put(out, text);
}

static int put_line(struct buffer *out, const struct recorder_line *line)
{
    char head[TEXT_BYTES];
    int size = snprintf(head, sizeof head,
                        "{\"v\":%d,\"model\":\"%s\",\"id\":%" PRIu64 ",\"op\":\"%s\",\"key\":",
                        FORMAT_VERSION, line->model, line->id, line->op);
    HF_ASSERT(size > 0 && (size_t)size < sizeof head);
    int rv = put(out, head);
    if (rv == HF_OK) rv = codec_json_text(out, line->key);
    if (rv == HF_OK) rv = put(out, ",\"client\":");
    if (rv == HF_OK) rv = put_client(out, line);
    if (rv == HF_OK) rv = put_times(out, line);
    if (rv == HF_OK && line->args.size > 0) rv = put_object(out, ",\"args\":{", &line->args);
    if (rv == HF_OK && line->name_count > 1) rv = put_names(out, line);
    if (rv == HF_OK && line->result.size > 0) rv = put_object(out, ",\"result\":{", &line->result);
    return rv == HF_OK ? put(out, "}\n") : rv;
}

int recorder_line_write(struct buffer *out, const struct recorder_line *line)
{
    HF_ASSERT(line->outcome == RECORDED_FAIL || line->error == NULL);
    size_t start = out->size;
    int rv = put_line(out, line);
    if (rv != HF_OK) out->size = start;
    return rv;
}

int recorder_header_write(struct buffer *out, uint64_t drift_ppm, uint64_t seed)
{
    char text[TEXT_BYTES];
    char of_seed[40] = "";
    if (seed != 0) (void)snprintf(of_seed, sizeof of_seed, ",\"seed\":%" PRIu64, seed);
    int size =
        snprintf(text, sizeof text,
                 "{\"v\":%d,\"type\":\"header\",\"drift_ppm\":%" PRIu64 ",\"margin_ms\":%d%s}\n",
                 FORMAT_VERSION, drift_ppm, MARGIN_MS, of_seed);
    HF_ASSERT(size > 0 && (size_t)size < sizeof text);
    return put(out, text);
}

int recorder_note_write(struct buffer *out, const char *note)
{
    char text[TEXT_BYTES];
    int size = snprintf(text, sizeof text, "{\"v\":%d,\"type\":\"note\",\"note\":\"%s\"}\n",
                        FORMAT_VERSION, note);
    HF_ASSERT(size > 0 && (size_t)size < sizeof text);
    return put(out, text);
}
