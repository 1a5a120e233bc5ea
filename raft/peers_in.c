/* The links from the others: accepted, introduced, then messages. What breaks a rule ends its
 * connection and nothing else. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/status.h"
#include "raft/peers_private.h"

enum { COMPLAIN_MS = 1000, LENGTH_BYTES = 4, BYTES_KEPT = 64 * 1024 /* of an emptied buffer */ };

struct peer_in *peers_next_in(struct peers *p)
{
    if (list_empty(&p->ins_ready)) return NULL;
    struct peer_in *in = HF_CONTAINER_OF(p->ins_ready.next, struct peer_in, ready);
    list_remove(&in->ready);
    return in;
}

/* Strangers who say nothing must not keep a member out: the one who is silent longest goes. */
static void make_place(struct peers *p)
{
    LIST_FOR(link, &p->ins)
    {
        struct peer_in *in = HF_CONTAINER_OF(link, struct peer_in, link);
        if (in->peer != 0 || in->broken) continue;
        p->counts.refused++;
        peers_in_break(p, in);
        return;
    }
}

bool peers_accepted(struct peers *p, struct peer_in *in, uint64_t now_ms)
{
    if (p->in_count >= 2 * PEERS_IN_MAX) return false; /* the shell has not closed the others yet */
    if (p->in_count >= PEERS_IN_MAX) make_place(p);
    *in = (struct peer_in){.since_ms = now_ms};
    list_init(&in->ready);
    buffer_init(&in->in, PEER_FRAME_BYTES_MAX);
    buffer_init(&in->out, PEER_FRAME_BYTES_FIRST);
    list_push_back(&p->ins, &in->link);
    p->in_count++;
    return true;
}

/* It does not speak for its member any more. */
static void unbind(struct peers *p, struct peer_in *in)
{
    struct peer_member *m = in->peer != 0 ? peers_find(p, in->peer) : NULL;
    if (m != NULL && m->in == in) m->in = NULL;
}

void peers_closed(struct peers *p, struct peer_in *in)
{
    unbind(p, in);
    list_remove(&in->link);
    list_remove(&in->ready);
    buffer_close(&in->in);
    buffer_close(&in->out);
    HF_ASSERT(p->in_count > 0);
    p->in_count--;
}

void peers_in_break(struct peers *p, struct peer_in *in)
{
    unbind(p, in);
    in->broken = true;
    peers_in_ready(p, in);
}

static void break_rules(struct peers *p, struct peer_in *in)
{
    p->counts.refused++;
    peers_in_break(p, in);
}

/* ------------------------------------------------------------------ the introduction */

static void answer(struct peers *p, struct peer_in *in, const char *sentence)
{
    struct peer_answer reply = {
        .refused = sentence != NULL,
        .from = p->config.id,
        .incarnation = p->config.incarnation,
        .client_address = slice_of(p->client_address),
        .sentence = slice_of(sentence != NULL ? sentence : ""),
    };
    if (peer_answer_write(&in->out, &reply) != HF_OK) peers_in_break(p, in);
    peers_in_ready(p, in);
}

__attribute__((format(printf, 3, 4))) static void turn_down(struct peers *p, struct peer_in *in,
                                                            const char *format, ...)
{
    char sentence[PEER_TEXT_BYTES_MAX + 1];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    p->counts.refused++;
    in->closing = true;
    answer(p, in, sentence);
    /* it comes again every second, and strangers may come with anything */
    bool told = strcmp(sentence, p->complaint) == 0 || in->since_ms < p->complained_ms;
    if (told) return;
    snprintf(p->complaint, sizeof p->complaint, "%s", sentence);
    p->complained_ms = in->since_ms + COMPLAIN_MS;
    log_warn("another server was refused", "reason=\"%s\"", sentence);
}

static void introduce(struct peers *p, struct peer_in *in, const struct peer_hello *hello)
{
    const struct peers_config *c = &p->config;
    struct peer_member *m = peers_find(p, hello->from);
    HF_ASSERT(in->peer == 0 && in->out.size == 0);
    if (memcmp(hello->cluster_id, c->cluster_id, sizeof c->cluster_id) != 0) {
        turn_down(p, in,
                  "server %" PRIu64 " is of another cluster: compare the --cluster and "
                  "--cluster-name with which the two directories were made",
                  hello->from);
        return;
    }
    if (hello->to != c->id) {
        turn_down(p, in,
                  "here is server %" PRIu64 ", not %" PRIu64 ": compare the addresses in --cluster "
                  "with each server's --peer",
                  c->id, hello->to);
        return;
    }
    if (hello->from == c->id) {
        turn_down(p, in,
                  "here is server %" PRIu64 " already: give each server an --id of its own, and "
                  "each --id its own address in --cluster",
                  c->id);
        return;
    }
    if (m == NULL) {
        turn_down(p, in,
                  "server %" PRIu64 " is no member of this cluster: compare its --cluster with "
                  "that of server %" PRIu64,
                  hello->from, c->id);
        return;
    }
    if (!c->ports.admit(c->ports.data, hello->from, hello->incarnation)) {
        turn_down(p, in,
                  "server %" PRIu64 " was made anew and has forgotten its votes: the cluster knows "
                  "another incarnation of it; restore its old directory",
                  hello->from);
        return;
    }
    if (m->in != NULL) peers_in_break(p, m->in);
    m->in = in;
    in->peer = hello->from;
    peers_note(m, hello->incarnation, hello->client_address);
    answer(p, in, NULL);
}

/* ------------------------------------------------------------------ frames */

/* \retval HF_EBADREQUEST close it; faults. */
static int take_frame(struct peers *p, struct peer_in *in, struct slice frame)
{
    uint8_t kind = 0;
    struct slice body = {0};
    int rv = peer_frame_open(frame, &kind, &body);
    if (rv != HF_OK) return rv;
    if (in->peer == 0) {
        struct peer_hello hello;
        if (kind != PEER_FRAME_HELLO) return HF_EBADREQUEST;
        rv = peer_hello_read(body, &hello);
        if (rv == HF_OK) introduce(p, in, &hello);
        if (rv != HF_EVERSION) return rv;
        turn_down(p, in,
                  "server %" PRIu64 " speaks version %d of this protocol and no other: run one "
                  "release, or two that follow each other, on all servers",
                  p->config.id, PEER_FRAME_VERSION);
        return HF_OK;
    }
    const struct peer_member *m = peers_find(p, in->peer);
    struct message message;
    if (m == NULL) return HF_EBADREQUEST;
    rv = peer_message_read(kind, body, p->entries, &message);
    if (rv != HF_OK) return rv;
    message.peer = in->peer;
    message.address = m->out.address;
    p->counts.received++;
    rv = p->config.ports.receive(p->config.ports.data, &message);
    return rv == HF_ETOOBUSY ? HF_OK : rv;
}

/* Whole frames from the front of `bytes`. \param used Out: bytes of them. Faults only. */
static int take_frames(struct peers *p, struct peer_in *in, struct slice bytes, size_t *used)
{
    *used = 0;
    while (!in->broken && !in->closing) {
        size_t size = 0;
        struct slice rest = slice_make(bytes.data + *used, bytes.size - *used);
        size_t bytes_max = in->peer != 0 ? PEER_FRAME_BYTES_MAX : PEER_FRAME_BYTES_FIRST;
        int rv = peer_frame_next(rest, bytes_max, &size);
        if (rv == HF_OK && size == 0) return HF_OK;
        if (rv == HF_OK) rv = take_frame(p, in, slice_make(rest.data, size));
        if (rv == HF_EBADREQUEST) {
            break_rules(p, in);
            return HF_OK;
        }
        if (rv != HF_OK) return rv;
        *used += size;
    }
    return HF_OK;
}

/* Add to the frame that is half here what it lacks, and no more; take it once it is whole. */
static int take_part(struct peers *p, struct peer_in *in, struct slice *bytes)
{
    size_t used = 0;
    size_t whole = in->in.size < LENGTH_BYTES ? LENGTH_BYTES : get_u32(in->in.data);
    HF_ASSERT(whole > in->in.size); /* a length was looked at when it came */
    size_t part = whole - in->in.size;
    if (part > bytes->size) part = bytes->size;
    if (buffer_append(&in->in, bytes->data, part) != HF_OK) {
        break_rules(p, in);
        return HF_OK;
    }
    *bytes = slice_make(bytes->data + part, bytes->size - part);
    int rv = take_frames(p, in, buffer_slice(&in->in), &used);
    if (used == 0) return rv;
    HF_ASSERT(used == in->in.size);
    buffer_empty(&in->in, BYTES_KEPT);
    return rv;
}

static bool is_over(const struct peer_in *in)
{
    return in->broken || in->closing;
}

static int take_bytes(struct peers *p, struct peer_in *in, struct slice bytes)
{
    size_t used = 0;
    while (in->in.size > 0 && bytes.size > 0 && !is_over(in)) {
        int rv = take_part(p, in, &bytes);
        if (rv != HF_OK) return rv;
    }
    if (bytes.size == 0 || is_over(in)) return HF_OK;
    HF_ASSERT(in->in.size == 0);
    int rv = take_frames(p, in, bytes, &used);
    if (rv != HF_OK || is_over(in)) return rv;
    if (buffer_append(&in->in, bytes.data + used, bytes.size - used) != HF_OK) break_rules(p, in);
    return HF_OK;
}

int peers_input(struct peers *p, struct peer_in *in, struct slice bytes, uint64_t now_ms)
{
    if (bytes.size == 0 || is_over(in)) return HF_OK;
    int rv = take_bytes(p, in, bytes);
    /* a slow link is no broken one: a large frame takes its time; but a stranger's runs on */
    if (in->peer != 0 || in->closing) in->since_ms = now_ms;
    return rv;
}

void peers_recheck(struct peers *p, uint64_t now_ms)
{
    const struct peers_ports *ports = &p->config.ports;
    LIST_FOR(link, &p->outs)
    {
        struct peer_out *out = HF_CONTAINER_OF(link, struct peer_out, link);
        struct peer_member *m = HF_CONTAINER_OF(out, struct peer_member, out);
        if (m->incarnation == 0 || ports->admit(ports->data, out->peer, m->incarnation)) continue;
        if (m->in != NULL) peers_in_break(p, m->in);
        if (out->state == PEER_OUT_OPEN) peers_out_fail(p, m, now_ms);
        m->incarnation = 0;
    }
}

/* ------------------------------------------------------------------ time */

/* When it is given up, as things are. */
static uint64_t given_up_at(const struct peer_in *in)
{
    if (in->broken) return UINT64_MAX;
    if (in->peer == 0 || in->closing) return in->since_ms + PEERS_HELLO_MS_MAX;
    return in->in.size > 0 ? in->since_ms + PEERS_PARTIAL_MS_MAX : UINT64_MAX;
}

void peers_in_tick(struct peers *p, uint64_t now_ms)
{
    LIST_FOR(link, &p->ins)
    {
        struct peer_in *in = HF_CONTAINER_OF(link, struct peer_in, link);
        if (given_up_at(in) <= now_ms) break_rules(p, in);
    }
}

uint64_t peers_in_wake(const struct peers *p)
{
    uint64_t wake_ms = UINT64_MAX;
    LIST_FOR(link, (struct list *)(uintptr_t)&p->ins)
    {
        uint64_t at_ms = given_up_at(HF_CONTAINER_OF(link, struct peer_in, link));
        if (at_ms < wake_ms) wake_ms = at_ms;
    }
    return wake_ms;
}
