/* The links to the others: dialled, introduced, open; and again after a pause when they fail. */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/status.h"
#include "raft/peers_private.h"

struct peer_out *peers_next_out(struct peers *p)
{
    if (list_empty(&p->outs_ready)) return NULL;
    struct peer_out *out = HF_CONTAINER_OF(p->outs_ready.next, struct peer_out, ready);
    list_remove(&out->ready);
    return out;
}

void peers_out_fail(struct peers *p, struct peer_member *m, uint64_t now_ms)
{
    struct peer_out *out = &m->out;
    /* one that opens and breaks at once would otherwise be dialled twenty times a second */
    bool stood = out->state == PEER_OUT_OPEN && now_ms - m->opened_ms >= PEERS_RETRY_MS_MAX;
    uint32_t pause_ms = stood ? PEERS_RETRY_MS_MIN : out->pause_ms;
    HF_ASSERT(pause_ms >= PEERS_RETRY_MS_MIN && pause_ms <= PEERS_RETRY_MS_MAX);
    uint32_t next_ms = pause_ms + pause_ms / 2;
    out->pause_ms = next_ms < PEERS_RETRY_MS_MAX ? next_ms : PEERS_RETRY_MS_MAX;
    out->epoch += 1;
    out->state = PEER_OUT_PAUSE;
    /* three to five quarters of it, so that two servers do not stay in step */
    out->timeout_ms = now_ms + pause_ms * 3 / 4 + prng_below(&p->random, pause_ms / 2 + 1);
    buffer_close(&out->out); /* it may have been large */
    buffer_init(&out->out, PEERS_OUT_BYTES_MAX);
    buffer_clear(&m->answer);
    peers_out_ready(p, out);
}

static void dial(struct peers *p, struct peer_out *out, uint64_t now_ms)
{
    out->epoch += 1;
    out->state = PEER_OUT_DIALLING;
    out->timeout_ms = now_ms + PEERS_DIAL_MS_MAX;
    peers_out_ready(p, out);
}

void peers_connected(struct peers *p, struct peer_out *out, uint64_t epoch, uint64_t now_ms)
{
    struct peer_member *m = HF_CONTAINER_OF(out, struct peer_member, out);
    if (epoch != out->epoch || out->state != PEER_OUT_DIALLING) return;
    struct peer_hello hello = {
        .from = p->config.id,
        .incarnation = p->config.incarnation,
        .to = out->peer,
        .client_address = slice_of(p->client_address),
    };
    memcpy(hello.cluster_id, p->config.cluster_id, sizeof hello.cluster_id);
    if (peer_hello_write(&out->out, &hello) != HF_OK) {
        peers_out_fail(p, m, now_ms);
        return;
    }
    out->state = PEER_OUT_HELLO;
    out->timeout_ms = now_ms + PEERS_HELLO_MS_MAX;
    peers_out_ready(p, out);
}

void peers_disconnected(struct peers *p, struct peer_out *out, uint64_t epoch, uint64_t now_ms)
{
    if (epoch != out->epoch || out->state == PEER_OUT_PAUSE) return;
    peers_out_fail(p, HF_CONTAINER_OF(out, struct peer_member, out), now_ms);
}

/* It will be the same the next time, until somebody mends it: keep the reason, say it once, and do
 * not hurry. \return false */
static bool give_up(struct peer_member *m, struct slice sentence)
{
    HF_ASSERT(sentence.size > 0);
    char before[sizeof m->refusal];
    memcpy(before, m->refusal, sizeof before);
    peers_note_refusal(m, sentence);
    m->out.pause_ms = PEERS_RETRY_MS_MAX;
    if (strcmp(before, m->refusal) != 0)
        log_warn("no link to another server", "server=%" PRIu64 " reason=\"%s\"", m->out.peer,
                 m->refusal);
    return false;
}

/* \return false: leave this connection. */
static bool take_answer(struct peers *p, struct peer_member *m, struct slice frame, uint64_t now_ms)
{
    uint8_t kind = 0;
    struct slice body = {0};
    struct peer_answer answer = {0};
    char sentence[PEER_TEXT_BYTES_MAX + 1];
    if (peer_frame_open(frame, &kind, &body) != HF_OK || kind != PEER_FRAME_ANSWER) return false;
    int rv = peer_answer_read(body, &answer);
    if (rv == HF_EVERSION) {
        return give_up(m, slice_of("it speaks another version of this protocol: run one release, "
                                   "or two that follow each other, on all servers"));
    }
    if (rv != HF_OK) return false;
    if (answer.refused) return give_up(m, answer.sentence);
    if (answer.from != m->out.peer) {
        snprintf(sentence, sizeof sentence,
                 "server %" PRIu64 " answers there, not %" PRIu64
                 ": compare the addresses in --cluster with each server's --peer",
                 answer.from, m->out.peer);
        return give_up(m, slice_of(sentence));
    }
    if (!p->config.ports.admit(p->config.ports.data, m->out.peer, answer.incarnation)) {
        return give_up(m, slice_of("it was made anew and has forgotten its votes: the cluster "
                                   "knows another incarnation of it; restore its old directory"));
    }
    peers_note(m, answer.incarnation, answer.client_address);
    m->refusal[0] = '\0';
    m->opened_ms = now_ms;
    m->out.state = PEER_OUT_OPEN;
    m->out.timeout_ms = UINT64_MAX;
    return true;
}

void peers_answered(struct peers *p, struct peer_out *out, uint64_t epoch, struct slice bytes,
                    uint64_t now_ms)
{
    struct peer_member *m = HF_CONTAINER_OF(out, struct peer_member, out);
    if (epoch != out->epoch || out->state < PEER_OUT_HELLO || bytes.size == 0) return;
    size_t size = 0;
    /* nothing follows the answer */
    bool well = out->state == PEER_OUT_HELLO &&
                buffer_append(&m->answer, bytes.data, bytes.size) == HF_OK &&
                peer_frame_next(buffer_slice(&m->answer), PEER_FRAME_BYTES_FIRST, &size) == HF_OK &&
                (size == 0 || size == m->answer.size);
    if (well && size > 0) well = take_answer(p, m, buffer_slice(&m->answer), now_ms);
    if (!well) {
        p->counts.refused++;
        peers_out_fail(p, m, now_ms);
    }
    if (size > 0) buffer_clear(&m->answer);
}

void peers_out_tick(struct peers *p, uint64_t now_ms)
{
    LIST_FOR(link, &p->outs)
    {
        struct peer_out *out = HF_CONTAINER_OF(link, struct peer_out, link);
        if (out->timeout_ms > now_ms) continue;
        if (out->state == PEER_OUT_PAUSE) {
            dial(p, out, now_ms);
        } else {
            peers_out_fail(p, HF_CONTAINER_OF(out, struct peer_member, out), now_ms);
        }
    }
}

uint64_t peers_out_wake(const struct peers *p)
{
    uint64_t wake_ms = UINT64_MAX;
    LIST_FOR(link, (struct list *)(uintptr_t)&p->outs)
    {
        const struct peer_out *out = HF_CONTAINER_OF(link, struct peer_out, link);
        if (out->timeout_ms < wake_ms) wake_ms = out->timeout_ms;
    }
    return wake_ms;
}
