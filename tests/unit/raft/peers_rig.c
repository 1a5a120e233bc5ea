/* See peers_rig.h. The order of the calls is server/peer_sockets.c's. */
#include "tests/unit/raft/peers_rig.h"

#include <stdio.h>

#include "base/status.h"
#include "tests/unit/raft/wal_fixture.h"

enum {
    PIECE_BYTES_MAX = 700,
    WIRE_BYTES_MAX = 2 * PEERS_OUT_BYTES_MAX,
    STEP_MS = 10,
    BIG_BYTES = 4000
};

/* A connection. Each end leaves by itself; it is freed once both have. */
struct wire {
    struct list link;      /* in rig.wires */
    struct rig_node *from; /* who dialled */
    struct rig_node *to;   /* whom */
    struct peer_out *out;  /* the dialler's end; NULL = left */
    uint64_t epoch;        /* of it */
    struct peer_in in;     /* the acceptor's end */
    bool accepted;         /* `in` is the peers' */
    bool was_accepted;     /* and not again */
    struct buffer there;   /* on the way to the acceptor */
    struct buffer back;    /* on the way to the dialler */
};

struct peers *rig_peers(struct rig *rig, uint64_t id)
{
    return rig_node(rig, id)->peers;
}

struct rig_node *rig_node(struct rig *rig, uint64_t id)
{
    assert_true(id >= 1 && id <= RIG_NODES);
    return &rig->nodes[id - 1];
}

static int receive(void *data, const struct message *m)
{
    struct rig_node *n = data;
    assert_true(n->got_count < RIG_GOT_MAX);
    struct rig_got *got = &n->got[n->got_count++];
    *got = (struct rig_got){.type = m->type, .peer = m->peer};
    assert_true(m->peer != n->id);
    assert_non_null(m->address);
    if (m->type == MESSAGE_PING) got->value = m->ping.nonce;
    if (m->type == MESSAGE_APPEND) {
        got->value = m->append.previous_index;
        got->count = m->append.count;
        for (uint32_t i = 0; i < m->append.count; i++) {
            const struct log_entry *e = &m->append.entries[i];
            assert_true(e->term <= m->term);
            if (e->data.size < BIG_BYTES)
                check_entry(e, m->append.previous_index + 1 + i, e->term, 0);
        }
    }
    return n->receive_status;
}

static bool admit(void *data, uint64_t peer, uint64_t incarnation)
{
    const struct rig_node *n = data;
    assert_true(peer != 0 && incarnation != 0);
    return incarnation != n->turned_away;
}

static void open_log(struct rig *rig, unsigned count)
{
    struct entries entries;
    struct refusal why;
    sim_disk_init(&rig->disk, 3);
    entries_init(&entries, 1, 1 << 30);
    assert_int_equal(wal_open(&rig->disk.disk, &config_small, 1, 0, &entries, &rig->wal, &why),
                     HF_OK);
    entries_close(&entries);
    for (unsigned i = 0; i < count; i++) append(rig->wal, 1, 0);
    assert_int_equal(wal_run_all(rig->wal), HF_OK);
}

void rig_open(struct rig *rig, unsigned entries)
{
    *rig = (struct rig){.now_ms = 1000};
    list_init(&rig->wires);
    prng_seed(&rig->random, 9);
    open_log(rig, entries);
    for (uint64_t id = 1; id <= RIG_NODES; id++) {
        struct rig_node *n = rig_node(rig, id);
        char client[32];
        n->rig = rig;
        n->id = id;
        snprintf(n->address, sizeof n->address, "n%u", (unsigned)id);
        snprintf(client, sizeof client, "c%u:7400", (unsigned)id);
        struct peers_config config = {
            .cluster_id = "one cluster id.",
            .id = id,
            .incarnation = 100 + id,
            .client_address = client,
            .wal = id == 1 ? rig->wal : NULL,
            .seed = id,
            .ports = {receive, admit, n},
        };
        assert_int_equal(peers_new(&config, &n->peers), HF_OK);
    }
}

/* ------------------------------------------------------------------ wires */

static void leave_out(struct wire *w)
{
    if (w->out == NULL) return;
    w->out->shell = NULL;
    w->out = NULL;
}

static void leave_in(struct wire *w)
{
    if (w->accepted) peers_closed(w->to->peers, &w->in);
    w->accepted = false;
    w->was_accepted = true;
}

static void free_wire(struct wire *w)
{
    list_remove(&w->link);
    buffer_close(&w->there);
    buffer_close(&w->back);
    free(w);
}

static void break_wire(struct wire *w)
{
    struct peer_out *out = w->out;
    leave_out(w);
    leave_in(w);
    if (out != NULL) peers_disconnected(w->from->peers, out, w->epoch, w->from->rig->now_ms);
    free_wire(w);
}

static void move_all(struct buffer *from, struct buffer *to)
{
    assert_int_equal(buffer_append(to, from->data, from->size), HF_OK);
    buffer_clear(from);
}

static void dial(struct rig_node *n, struct peer_out *out)
{
    struct wire *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->from = n;
    w->out = out;
    w->epoch = out->epoch;
    for (uint64_t id = 1; id <= RIG_NODES; id++) {
        if (strcmp(rig_node(n->rig, id)->address, out->address) == 0) w->to = rig_node(n->rig, id);
    }
    buffer_init(&w->there, WIRE_BYTES_MAX);
    buffer_init(&w->back, WIRE_BYTES_MAX);
    out->shell = w;
    list_push_back(&n->rig->wires, &w->link);
    if (w->to == NULL) break_wire(w); /* nobody is there */
}

static void follow(struct rig_node *n, struct peer_out *out)
{
    struct wire *w = out->shell;
    if (w != NULL && (w->epoch != out->epoch || out->dropped)) {
        leave_out(w);
        w = NULL;
    }
    if (out->dropped) {
        peers_forget_out(n->peers, out);
    } else if (w != NULL && out->state >= PEER_OUT_HELLO) {
        move_all(&out->out, &w->there);
    } else if (w == NULL && out->state == PEER_OUT_DIALLING) {
        dial(n, out);
    }
}

static void flush_in(struct wire *w)
{
    if (w->in.broken) {
        leave_in(w);
        return;
    }
    move_all(&w->in.out, &w->back);
    if (w->in.closing) leave_in(w);
}

static bool follow_all(struct rig_node *n)
{
    bool any = false;
    struct peer_out *out = NULL;
    struct peer_in *in = NULL;
    for (; (out = peers_next_out(n->peers)) != NULL; any = true) follow(n, out);
    for (; (in = peers_next_in(n->peers)) != NULL; any = true)
        flush_in(HF_CONTAINER_OF(in, struct wire, in));
    return any;
}

/* A short piece, or a twentieth or so of much, in memory of its exact size. */
static size_t take_piece(struct rig *rig, const struct buffer *from, uint8_t **piece)
{
    size_t size = 1 + prng_below(&rig->random, PIECE_BYTES_MAX);
    size += size * (from->size / (10 * PIECE_BYTES_MAX)); /* bulk: what is left moves each time */
    if (size > from->size) size = from->size;
    *piece = malloc(size);
    assert_non_null(*piece);
    memcpy(*piece, from->data, size);
    return size;
}

static bool move_there(struct rig *rig, struct wire *w)
{
    uint8_t *piece = NULL;
    if (w->to->silent || w->there.size == 0) return false;
    size_t size = take_piece(rig, &w->there, &piece);
    buffer_consume(&w->there, size);
    if (w->accepted)
        assert_int_equal(peers_input(w->to->peers, &w->in, slice_make(piece, size), rig->now_ms),
                         HF_OK);
    free(piece);
    return true;
}

static bool move_back(struct rig *rig, struct wire *w)
{
    uint8_t *piece = NULL;
    if (w->from->silent || w->back.size == 0) return false;
    size_t size = take_piece(rig, &w->back, &piece);
    buffer_consume(&w->back, size);
    if (w->out != NULL)
        peers_answered(w->from->peers, w->out, w->epoch, slice_make(piece, size), rig->now_ms);
    free(piece);
    return true;
}

/* \return whether anything happened; the wire may be gone then. */
static bool move_wire(struct rig *rig, struct wire *w)
{
    if (!w->accepted && !w->was_accepted) {
        if (w->to->deaf || w->out == NULL) {
            if (w->out == NULL) free_wire(w);
            return false;
        }
        w->was_accepted = true;
        w->accepted = peers_accepted(w->to->peers, &w->in, rig->now_ms);
        peers_connected(w->from->peers, w->out, w->epoch, rig->now_ms);
        return true;
    }
    if (move_there(rig, w) || move_back(rig, w)) return true;
    bool left = w->out == NULL && (w->there.size == 0 || w->to->silent);
    if (!left && (w->accepted || w->back.size > 0)) return false;
    break_wire(w);
    return true;
}

void rig_settle(struct rig *rig)
{
    bool any = true;
    while (any) {
        any = false;
        for (uint64_t id = 1; id <= RIG_NODES; id++) any = follow_all(rig_node(rig, id)) || any;
        LIST_FOR_SAFE(link, &rig->wires)
        {
            any = move_wire(rig, HF_CONTAINER_OF(link, struct wire, link)) || any;
        }
    }
}

/* ------------------------------------------------------------------ what tests do */

void rig_sleep(struct rig *rig, uint64_t ms)
{
    for (uint64_t end_ms = rig->now_ms + ms; rig->now_ms < end_ms; rig->now_ms += STEP_MS) {
        for (uint64_t id = 1; id <= RIG_NODES; id++) {
            struct peers *p = rig_peers(rig, id);
            if (peers_next_wake(p) > rig->now_ms) continue;
            peers_tick(p, rig->now_ms);
            assert_true(peers_next_wake(p) > rig->now_ms); /* a shell would spin */
        }
        rig_settle(rig);
    }
}

void rig_members(struct rig *rig, uint64_t id, unsigned ids)
{
    struct configuration_server servers[RIG_NODES];
    size_t count = 0;
    for (uint64_t i = 1; i <= RIG_NODES; i++) {
        if ((ids >> i & 1) == 0) continue;
        servers[count++] =
            (struct configuration_server){i, rig_node(rig, i)->address, SERVER_VOTER};
    }
    peers_set_members(rig_peers(rig, id), servers, count, rig->now_ms);
}

void rig_move(struct rig *rig, uint64_t id, const char *address)
{
    struct rig_node *n = rig_node(rig, id);
    snprintf(n->address, sizeof n->address, "%s", address);
}

void rig_join(struct rig *rig)
{
    for (uint64_t id = 1; id <= RIG_NODES; id++) rig_members(rig, id, 0xe);
    rig_sleep(rig, 50);
    for (uint64_t id = 1; id <= RIG_NODES; id++) {
        for (uint64_t other = 1; other <= RIG_NODES; other++) {
            if (other == id) continue;
            assert_true(peers_is_open(rig_peers(rig, id), other));
            assert_true(peers_is_heard(rig_peers(rig, id), other));
        }
    }
}

void rig_cut(struct rig *rig, uint64_t from, uint64_t to)
{
    LIST_FOR_SAFE(link, &rig->wires)
    {
        struct wire *w = HF_CONTAINER_OF(link, struct wire, link);
        if (w->from->id == from && w->to->id == to) break_wire(w);
    }
}

unsigned rig_wires(const struct rig *rig, uint64_t from, uint64_t to)
{
    unsigned count = 0;
    LIST_FOR(link, (struct list *)(uintptr_t)&rig->wires)
    {
        const struct wire *w = HF_CONTAINER_OF(link, struct wire, link);
        if (w->from->id == from && w->to->id == to) count++;
    }
    return count;
}

void rig_ping(struct rig *rig, uint64_t from, uint64_t to, uint64_t nonce)
{
    struct message m = {.type = MESSAGE_PING, .peer = to, .term = 1, .ping = {.nonce = nonce}};
    peers_send(rig_peers(rig, from), &m);
}

void rig_append(struct rig *rig, uint64_t to, uint64_t previous, uint32_t count)
{
    struct message m = {
        .type = MESSAGE_APPEND,
        .peer = to,
        .term = 1,
        .append = {.previous_index = previous,
                   .previous_term = previous > 0,
                   .commit_index = previous,
                   .count = count},
    };
    peers_send(rig_peers(rig, 1), &m);
}

void rig_close(struct rig *rig)
{
    LIST_FOR_SAFE(link, &rig->wires) break_wire(HF_CONTAINER_OF(link, struct wire, link));
    wal_close(rig->wal);
    for (uint64_t id = 1; id <= RIG_NODES; id++) peers_free(rig_peers(rig, id));
    sim_disk_close(&rig->disk);
}
