/* See raft/peers.h. Members, and messages out; the links' lives are in peers_out.c, peers_in.c. */
#include "raft/peers.h"

#include <stdlib.h>
#include <string.h>

#include "base/buggify.h"
#include "base/status.h"
#include "raft/peers_private.h"

static struct peer_member *member_of(struct list *link)
{
    return HF_CONTAINER_OF(HF_CONTAINER_OF(link, struct peer_out, link), struct peer_member, out);
}

struct peer_member *peers_find(const struct peers *p, uint64_t id)
{
    LIST_FOR(link, (struct list *)(uintptr_t)&p->outs)
    {
        struct peer_member *m = member_of(link);
        if (m->out.peer == id && !m->out.dropped) return m;
    }
    return NULL;
}

static void copy_text(char *to, struct slice text)
{
    HF_ASSERT(text.size <= PEER_TEXT_BYTES_MAX);
    memcpy(to, text.data, text.size);
    to[text.size] = '\0';
}

void peers_note(struct peer_member *m, uint64_t incarnation, struct slice client_address)
{
    HF_ASSERT(incarnation != 0);
    m->incarnation = incarnation;
    copy_text(m->client_address, client_address);
}

void peers_note_refusal(struct peer_member *m, struct slice sentence)
{
    copy_text(m->refusal, sentence);
    for (char *at = m->refusal; *at != '\0'; at++) { /* it is another's word, and gets logged */
        if (*at == '"' || *at == '\\') *at = '\'';
    }
}

void peers_out_ready(struct peers *p, struct peer_out *out)
{
    if (list_empty(&out->ready)) list_push_back(&p->outs_ready, &out->ready);
}

void peers_in_ready(struct peers *p, struct peer_in *in)
{
    if (list_empty(&in->ready)) list_push_back(&p->ins_ready, &in->ready);
}

/* ------------------------------------------------------------------ members */

static void free_member(struct peer_member *m)
{
    HF_ASSERT(!m->reading);
    list_remove(&m->out.link);
    list_remove(&m->out.ready);
    buffer_close(&m->out.out);
    buffer_close(&m->answer);
    buffer_close(&m->behind);
    wal_read_close(&m->read);
    free(m);
}

static void add_member(struct peers *p, const struct configuration_server *server, uint64_t now_ms)
{
    struct peer_member *m = calloc(1, sizeof *m);
    HF_ASSERT(m != NULL); /* a handful of them in a server's life */
    m->peers = p;
    m->out.peer = server->id;
    m->out.pause_ms = PEERS_RETRY_MS_MIN;
    m->out.state = PEER_OUT_PAUSE;
    m->out.timeout_ms = now_ms;
    copy_text(m->out.address, slice_of(server->address));
    buffer_init(&m->out.out, PEERS_OUT_BYTES_MAX);
    buffer_init(&m->answer, PEER_FRAME_BYTES_FIRST);
    buffer_init(&m->behind, PEERS_OUT_BYTES_MAX);
    list_init(&m->out.ready);
    list_push_back(&p->outs, &m->out.link);
}

static void drop_member(struct peers *p, struct peer_member *m, uint64_t now_ms)
{
    if (m->in != NULL) peers_in_break(p, m->in);
    m->in = NULL;
    peers_out_fail(p, m, now_ms);
    m->out.dropped = true;
    m->out.timeout_ms = UINT64_MAX;
    peers_out_ready(p, &m->out);
}

static const struct configuration_server *find_server(const struct configuration_server *servers,
                                                      size_t count, const struct peer_out *out)
{
    for (size_t i = 0; i < count; i++) {
        if (servers[i].id == out->peer && strcmp(servers[i].address, out->address) == 0)
            return &servers[i];
    }
    return NULL;
}

void peers_set_members(struct peers *p, const struct configuration_server *servers, size_t count,
                       uint64_t now_ms)
{
    HF_ASSERT(count <= CONFIGURATION_SERVERS_MAX);
    LIST_FOR(link, &p->outs)
    {
        struct peer_member *m = member_of(link);
        if (!m->out.dropped && find_server(servers, count, &m->out) == NULL)
            drop_member(p, m, now_ms);
    }
    for (size_t i = 0; i < count; i++) {
        if (servers[i].id == p->config.id || peers_find(p, servers[i].id) != NULL) continue;
        add_member(p, &servers[i], now_ms);
    }
}

void peers_forget_out(struct peers *p, struct peer_out *out)
{
    struct peer_member *m = HF_CONTAINER_OF(out, struct peer_member, out);
    HF_ASSERT(m->peers == p);
    HF_ASSERT(out->dropped && out->shell == NULL);
    m->forgotten = true;
    list_remove(&out->ready);
    if (!m->reading) free_member(m); /* else when the log gives the read back */
}

/* ------------------------------------------------------------------ begin and end */

int peers_new(const struct peers_config *config, struct peers **peers)
{
    HF_ASSERT(config->id != 0 && config->incarnation != 0);
    size_t address_bytes = strlen(config->client_address);
    HF_ASSERT(address_bytes >= 1 && address_bytes <= PEER_TEXT_BYTES_MAX);
    struct peers *p = calloc(1, sizeof *p);
    if (p == NULL) return HF_ENOMEM;
    p->config = *config;
    copy_text(p->client_address, slice_of(config->client_address));
    p->config.client_address = p->client_address;
    prng_seed(&p->random, config->seed);
    list_init(&p->outs);
    list_init(&p->outs_ready);
    list_init(&p->ins);
    list_init(&p->ins_ready);
    *peers = p;
    return HF_OK;
}

void peers_free(struct peers *p)
{
    if (p == NULL) return;
    HF_ASSERT(p->in_count == 0);
    LIST_FOR_SAFE(link, &p->outs)
    {
        struct peer_member *m = member_of(link);
        m->reading = false; /* the log is closed, and has forgotten it */
        free_member(m);
    }
    free(p);
}

/* ------------------------------------------------------------------ messages out */

/* A frame into the queue, or behind the read that is under way. */
static void put(struct peers *p, struct peer_member *m, const struct message *message)
{
    bool behind = m->reading && m->read_epoch == m->out.epoch;
    if (peer_message_write(behind ? &m->behind : &m->out.out, message) != HF_OK) {
        p->counts.lost++;
        return;
    }
    p->counts.sent++;
    if (behind) m->behind_count++;
    if (!behind) peers_out_ready(p, &m->out);
}

/* Send what was read, as much of it as was asked for; but nothing that came into the log after the
 * message was made (this server led no more, and another one's entries took their place): the peer
 * would take an entry of a later term than the message's for a broken rule. */
static void put_read(struct peers *p, struct peer_member *m)
{
    struct message message = m->append;
    uint32_t count = 0;
    HF_ASSERT(m->read.count >= 1);
    HF_ASSERT(m->read.entries[0].index == message.append.previous_index + 1);
    while (count < message.append.count && count < m->read.count &&
           m->read.entries[count].term <= message.term)
        count++;
    message.append.count = count;
    message.append.entries = m->read.entries;
    if (count == 0) {
        p->counts.lost++;
        return;
    }
    put(p, m, &message);
    p->counts.read++;
}

/* What was said meanwhile follows, or is lost with the connection that it was said on. */
static void put_behind(struct peers *p, struct peer_member *m, bool wanted)
{
    struct slice behind = buffer_slice(&m->behind);
    bool kept = wanted && buffer_append(&m->out.out, behind.data, behind.size) == HF_OK;
    if (!kept) p->counts.lost += m->behind_count;
    m->behind_count = 0;
    buffer_close(&m->behind); /* it may have been large */
    buffer_init(&m->behind, PEERS_OUT_BYTES_MAX);
}

static void read_is_back(struct wal_read *read, int status, void *data)
{
    struct peer_member *m = data;
    struct peers *p = m->peers;
    HF_ASSERT(m->reading && read == &m->read);
    m->reading = false;
    if (m->forgotten) {
        free_member(m);
        return;
    }
    bool wanted = m->read_epoch == m->out.epoch && m->out.state == PEER_OUT_OPEN;
    if (wanted && status == HF_OK) {
        put_read(p, m);
    } else {
        p->counts.lost++; /* or the log went on; a fault ends the process elsewhere */
    }
    put_behind(p, m, wanted);
    wal_read_close(&m->read);
    peers_out_ready(p, &m->out);
}

/* Entries that are not in memory: ask the log for them. One read a member at a time. */
static void read_first(struct peers *p, struct peer_member *m, const struct message *message)
{
    uint64_t first = message->append.previous_index + 1;
    bool there =
        first >= wal_first_index(p->config.wal) && first <= wal_durable_index(p->config.wal);
    if (m->reading || !there) {
        p->counts.lost++;
        return;
    }
    m->append = *message;
    m->append.address = NULL;
    m->read.first = first;
    m->read.done_cb = read_is_back;
    m->read.cb_data = m;
    if (wal_read(p->config.wal, &m->read) != HF_OK) {
        p->counts.lost++;
        return;
    }
    m->reading = true;
    m->read_epoch = m->out.epoch;
    HF_ASSERT(m->behind.size == 0);
}

void peers_send(struct peers *p, const struct message *message)
{
    struct peer_member *m = peers_find(p, message->peer);
    if (m == NULL || m->out.state != PEER_OUT_OPEN || HF_BUGGIFY(LOST_MESSAGE)) {
        p->counts.lost++;
        return;
    }
    bool from_disk = message->type == MESSAGE_APPEND && message->append.count > 0 &&
                     message->append.entries == NULL;
    if (from_disk) {
        read_first(p, m, message);
    } else {
        put(p, m, message);
    }
}

/* ------------------------------------------------------------------ questions and time */

bool peers_is_open(const struct peers *p, uint64_t peer)
{
    const struct peer_member *m = peers_find(p, peer);
    return m != NULL && m->out.state == PEER_OUT_OPEN;
}

bool peers_is_heard(const struct peers *p, uint64_t peer)
{
    const struct peer_member *m = peers_find(p, peer);
    return m != NULL && m->in != NULL;
}

const char *peers_client_address(const struct peers *p, uint64_t peer)
{
    const struct peer_member *m = peers_find(p, peer);
    return m != NULL ? m->client_address : "";
}

uint64_t peers_incarnation(const struct peers *p, uint64_t peer)
{
    const struct peer_member *m = peers_find(p, peer);
    return m != NULL ? m->incarnation : 0;
}

const char *peers_refusal(const struct peers *p, uint64_t peer)
{
    const struct peer_member *m = peers_find(p, peer);
    return m != NULL ? m->refusal : "";
}

void peers_tick(struct peers *p, uint64_t now_ms)
{
    peers_out_tick(p, now_ms);
    peers_in_tick(p, now_ms);
}

uint64_t peers_next_wake(const struct peers *p)
{
    uint64_t out_ms = peers_out_wake(p);
    uint64_t in_ms = peers_in_wake(p);
    return out_ms < in_ms ? out_ms : in_ms;
}

const struct peers_counts *peers_count(const struct peers *p)
{
    return &p->counts;
}
