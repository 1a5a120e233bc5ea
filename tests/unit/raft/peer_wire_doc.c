/* The annotated hexdumps of docs/peer-wire.md, made by the code that speaks to other servers.
 *
 *     peer_wire_doc               prints them
 *     peer_wire_doc peer-wire.md  fails unless they stand in the file, between its two markers */
#include <inttypes.h>
#include <stdio.h>

#include "base/status.h"
#include "raft/peer_frame.h"
#include "tests/unit/dump.h"

/* Begin a dump with the header that all frames have. \return the fields. */
static struct slice put_header(struct dump *d, const struct buffer *frame, const char *heading,
                               const char *kind)
{
    struct slice rest = buffer_slice(frame);
    char note[64];
    dump_put(d, "\n#### %s\n\n```\n", heading);
    snprintf(note, sizeof note, "%zu bytes in all", rest.size);
    dump_part(d, &rest, 4, note);
    dump_part(d, &rest, 4, "CRC32C of all that follows");
    dump_part(d, &rest, 1, kind);
    dump_part(d, &rest, 3, "zeros");
    return rest;
}

static void put_end(struct dump *d, struct buffer *frame, struct slice rest)
{
    HF_ASSERT(rest.size == 0); /* every field has its line */
    dump_put(d, "```\n");
    buffer_clear(frame);
}

static void put_text(struct dump *d, struct slice *rest, const char *name, struct slice text)
{
    char note[160];
    snprintf(note, sizeof note, "%s \"%.*s\"", name, (int)text.size, (const char *)text.data);
    dump_part(d, rest, 1 + text.size, note);
}

static void put_hello(struct dump *d, struct buffer *frame)
{
    const struct peer_hello hello = {
        .cluster_id = "a cluster's id.",
        .from = 1,
        .incarnation = UINT64_C(0x1a2b3c4d5e6f7081),
        .to = 2,
        .client_address = slice_of("10.0.0.1:7420"),
    };
    HF_ASSERT(peer_hello_write(frame, &hello) == HF_OK);
    struct slice rest = put_header(d, frame, "An introduction", "kind 16");
    dump_part(d, &rest, 4, "version 1");
    dump_part(d, &rest, PEER_CLUSTER_ID_BYTES, "cluster id");
    dump_part(d, &rest, 8, "from server 1");
    dump_part(d, &rest, 8, "its incarnation");
    dump_part(d, &rest, 8, "to server 2");
    put_text(d, &rest, "its clients connect to", hello.client_address);
    put_end(d, frame, rest);
}

static void put_answer(struct dump *d, struct buffer *frame, const char *sentence)
{
    const struct peer_answer answer = {
        .refused = sentence[0] != '\0',
        .from = 2,
        .incarnation = UINT64_C(0x8899aabbccddeeff),
        .client_address = slice_of("10.0.0.2:7420"),
        .sentence = slice_of(sentence),
    };
    HF_ASSERT(peer_answer_write(frame, &answer) == HF_OK);
    struct slice rest =
        put_header(d, frame, answer.refused ? "A refusal" : "Its answer", "kind 17");
    dump_part(d, &rest, 4, "version 1");
    dump_part(d, &rest, 1, answer.refused ? "refused" : "not refused");
    dump_part(d, &rest, 8, "from server 2");
    dump_part(d, &rest, 8, "its incarnation");
    put_text(d, &rest, "its clients connect to", answer.client_address);
    put_text(d, &rest, "why", answer.sentence);
    put_end(d, frame, rest);
}

static void put_append(struct dump *d, struct buffer *frame)
{
    static const struct log_entry entries[] = {
        {.index = 8,
         .term = 3,
         .type = LOG_BARRIER,
         .data = {(const uint8_t *)"\0\0\0\0\0\0\0", 8}},
        {.index = 9, .term = 3, .type = LOG_COMMAND, .data = {(const uint8_t *)"opaque", 6}},
    };
    const struct message m = {.type = MESSAGE_APPEND, .term = 3, .append = {7, 2, 6, 2, entries}};
    HF_ASSERT(peer_message_write(frame, &m) == HF_OK);
    struct slice rest = put_header(d, frame, "Two entries", "kind 1, APPEND");
    dump_part(d, &rest, 8, "term 3");
    dump_part(d, &rest, 8, "behind the entry 7");
    dump_part(d, &rest, 8, "which is of term 2");
    dump_part(d, &rest, 8, "committed up to 6");
    dump_part(d, &rest, 4, "2 entries");
    for (unsigned i = 0; i < HF_ARRAY_COUNT(entries); i++) {
        char note[64];
        snprintf(note, sizeof note, "entry %" PRIu64 ", of term 3", entries[i].index);
        dump_part(d, &rest, 8, note);
        dump_part(d, &rest, 1, i == 0 ? "type 2, the first of its term" : "type 1, a batch");
        dump_part(d, &rest, 3, "zeros");
        snprintf(note, sizeof note, "%zu bytes", entries[i].data.size);
        dump_part(d, &rest, 4, note);
        dump_part(d, &rest, entries[i].data.size, "data");
    }
    put_end(d, frame, rest);
}

static void put_ping(struct dump *d, struct buffer *frame)
{
    const struct message m = {
        .type = MESSAGE_PING, .term = 3, .ping = {17, 60000, 9, 8, {1, 2}, true}};
    HF_ASSERT(peer_message_write(frame, &m) == HF_OK);
    struct slice rest = put_header(d, frame, "A ping", "kind 7, PING");
    dump_part(d, &rest, 8, "term 3");
    dump_part(d, &rest, 8, "number 17");
    dump_part(d, &rest, 8, "cluster time, 60000 ms");
    dump_part(d, &rest, 8, "held by every member up to 9");
    dump_part(d, &rest, 8, "the state after entry 8");
    dump_part(d, &rest, 16, "has this digest");
    dump_part(d, &rest, 1, "and a majority has it");
    put_end(d, frame, rest);
}

int main(int argc, char **argv)
{
    struct dump d;
    struct buffer frame;
    dump_init(&d);
    buffer_init(&frame, PEER_FRAME_BYTES_FIRST);
    put_hello(&d, &frame);
    put_answer(&d, &frame, "");
    put_answer(&d, &frame, "here is server 2, not 3");
    put_append(&d, &frame);
    put_ping(&d, &frame);
    dump_put(&d, "\n");
    buffer_close(&frame);
    return dump_end(&d, "peer_wire_doc", argc > 1 ? argv[1] : NULL);
}
