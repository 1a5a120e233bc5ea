/* The connection: which server, since when, and what it is good for.
 *
 *   IDLE -> CONNECTING -> HELLO -> OPEN -> SESSION -> READY
 *
 * Whatever fails leads to core_link_down(): the next server is tried at once while there are some
 * that were not tried yet, else after a pause of 100 ms that grows by half. A server that is not
 * the leader names it, and is followed there. Bytes that break the protocol close the connection,
 * always with a pause, so that a mad server is not asked in a tight loop. */
#include "client/core.h"

#include "base/status.h"

#define CALM_NS ((uint64_t)CORE_SILENCE_CALM_MS * NS_PER_MS)

enum { NS_PER_MS = 1000000, ID_KIND_SHIFT = 12, ID_KIND_MASK = 15, SUPERSEDED_RACE_MS = 1000 };

/* ------------------------------------------------------------------ where to */

static bool add_endpoint(struct link *link, struct slice text)
{
    while (text.size > 0 && text.data[0] == ' ') text = slice_make(text.data + 1, text.size - 1);
    while (text.size > 0 && text.data[text.size - 1] == ' ') text.size -= 1;
    if (text.size == 0 || text.size > ADDRESS_BYTES_MAX) return false;
    if (link->endpoint_count == CORE_ENDPOINTS_MAX) return false;
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':') colon -= 1;
    if (colon < 2 || colon == text.size || text.size - colon > 5) return false;
    uint32_t port = 0;
    for (size_t i = colon; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (port == 0 || port > UINT16_MAX) return false;
    char *to = link->endpoints[link->endpoint_count++];
    memcpy(to, text.data, text.size);
    to[text.size] = '\0';
    return true;
}

int core_link_parse(struct link *link, const char *servers)
{
    struct slice rest = slice_of(servers);
    for (;;) {
        const uint8_t *comma = rest.size > 0 ? memchr(rest.data, ',', rest.size) : NULL;
        size_t size = comma != NULL ? (size_t)(comma - rest.data) : rest.size;
        if (!add_endpoint(link, slice_make(rest.data, size))) return HF_EINVAL;
        if (comma == NULL) return HF_OK;
        rest = slice_make(comma + 1, rest.size - size - 1);
    }
}

void core_link_init(struct core *c)
{
    HF_ASSERT(c->link.endpoint_count > 0);
    c->link.timeout_ns = c->link.asked_ns = CORE_NEVER;
    c->link.pause_ms = CORE_RETRY_MS_MIN;
    c->link.why = HF_ECONNECT;
    /* Many clients with the same list shall not all begin at its head. */
    c->link.endpoint = (uint32_t)prng_below(&c->prng, c->link.endpoint_count);
}

const char *core_target(const struct core *c)
{
    return c->link.redirected ? c->link.target : c->link.endpoints[c->link.endpoint];
}

/* ------------------------------------------------------------------ up and down */

/* Would the next connection lead to the same server? */
static bool is_lone(const struct core *c)
{
    return c->link.endpoint_count == 1 && !c->link.redirected;
}

/* Where there are several, half a second of silence is suspicious: by then a dead leader's
 * successor leads. One that is merely slow costs a reconnection each time, so that patience
 * doubles. */
static uint64_t silence_ns(const struct core *c)
{
    return ((uint64_t)CORE_SILENCE_MS * NS_PER_MS) << c->link.vain_count;
}

uint64_t core_link_patience_ns(const struct core *c)
{
    uint64_t least = is_lone(c) ? CORE_ANSWER_TIMEOUT_MS_MIN_LONE : CORE_ANSWER_TIMEOUT_MS_MIN;
    uint64_t ms = c->config.ttl_ms / 3;
    if (ms < least) ms = least;
    if (ms > CORE_ANSWER_TIMEOUT_MS_MAX) ms = CORE_ANSWER_TIMEOUT_MS_MAX;
    uint64_t most_ns = ms * NS_PER_MS;
    return is_lone(c) || silence_ns(c) > most_ns ? most_ns : silence_ns(c);
}

static void note_vain(struct core *c, uint64_t now_ns)
{
    c->link.vain_ns = now_ns;
    if (2 * silence_ns(c) <= (uint64_t)CORE_ANSWER_TIMEOUT_MS_MAX * NS_PER_MS)
        c->link.vain_count += 1;
}

void core_link_ready(struct core *c, uint64_t now_ns)
{
    if (c->link.left[0] == '\0') return;
    if (strcmp(c->link.left, core_target(c)) == 0) {
        note_vain(c, now_ns);
    } else {
        c->link.vain_count = 0;
    }
    c->link.left[0] = '\0';
}

/* A lone server is given more time, and while a session lives its KEEP alone says when that is
 * over. Without one nothing else would notice that the server's machine is gone, and that this
 * connection leads nowhere. */
static uint64_t bearable_ns(const struct core *c)
{
    if (!is_lone(c)) return silence_ns(c);
    return c->session.phase == SESSION_LIVE ? CORE_NEVER : core_link_patience_ns(c);
}

/* Nothing was heard since a call was sent that any server answers at once. */
static bool is_silent(struct core *c, uint64_t now_ns)
{
    uint64_t bearable = bearable_ns(c);
    if (c->link.state < LINK_OPEN || c->link.asked_ns == CORE_NEVER) return false;
    if (bearable == CORE_NEVER) return false;
    uint64_t since_ns = c->link.asked_ns > c->link.heard_ns ? c->link.asked_ns : c->link.heard_ns;
    if (now_ns >= since_ns + bearable) return true;
    core_wake(c, since_ns + bearable);
    return false;
}

void core_link_asked(struct core *c, uint64_t now_ns)
{
    if (c->link.asked_ns != CORE_NEVER) return;
    c->link.asked_ns = now_ns;
    if (bearable_ns(c) != CORE_NEVER) core_wake(c, now_ns + bearable_ns(c));
}

static void leave_silent(struct core *c, uint64_t now_ns)
{
    const char *target = core_target(c);
    memcpy(c->link.left, target, strlen(target) + 1);
    c->metrics.silences += 1;
    core_link_down(c, HF_ETIMEOUT, false, now_ns);
}

static void arm(struct core *c, uint64_t at_ns)
{
    c->link.timeout_ns = at_ns;
    core_wake(c, at_ns);
}

static void connect_now(struct core *c, uint64_t now_ns)
{
    c->link.epoch += 1;
    c->link.state = LINK_CONNECTING;
    arm(c, now_ns + (uint64_t)CORE_CONNECT_TIMEOUT_MS * NS_PER_MS);
}

static bool has_reason(const struct core *c)
{
    return !list_empty(&c->send_session) || !list_empty(&c->send_plain) || c->busy_count > 0 ||
           c->session.phase != SESSION_NONE;
}

static void pause_link(struct core *c, uint64_t now_ns)
{
    uint64_t ms = c->link.pause_ms;
    c->link.pause_ms = ms + ms / 2 < CORE_RETRY_MS_MAX ? ms + ms / 2 : CORE_RETRY_MS_MAX;
    c->link.failures = 0;
    c->link.redirects = 0;
    ms = ms * 3 / 4 + prng_below(&c->prng, ms / 2 + 1); /* 0.75 to 1.25 of it */
    c->link.retry_ns = now_ns + ms * NS_PER_MS;
}

/* No connection any more: what was on its way is unsure, what was half received is dropped. */
static void clear(struct core *c)
{
    buffer_clear(&c->in);
    buffer_clear(&c->out);
    c->link.hello_id = 0;
    c->link.session_id = 0;
    c->link.timeout_ns = CORE_NEVER;
    c->link.deaf = false;
    c->link.asked_ns = CORE_NEVER;
    c->link.epoch += 1;
    c->link.state = LINK_PAUSE;
    c->session.keep_id = 0;
    core_calls_disconnected(c);
}

/* The next server in turn; the one that was left as silent only after the others. */
static void turn(struct core *c)
{
    struct link *link = &c->link;
    if (!link->redirected) link->endpoint = (link->endpoint + 1) % link->endpoint_count;
    if (link->failures < link->endpoint_count &&
        strcmp(link->endpoints[link->endpoint], link->left) == 0)
        link->endpoint = (link->endpoint + 1) % link->endpoint_count;
}

void core_link_down(struct core *c, int why, bool pause, uint64_t now_ns)
{
    c->link.why = why;
    c->link.failures += 1;
    turn(c);
    c->link.redirected = false;
    c->link.retry_ns = now_ns;
    if (pause || c->link.failures >= c->link.endpoint_count + 1) pause_link(c, now_ns);
    clear(c);
    core_wake(c, c->link.retry_ns);
}

void core_link_not_before(struct core *c, uint64_t at_ns)
{
    HF_ASSERT(c->link.state == LINK_PAUSE);
    if (at_ns <= c->link.retry_ns) return;
    c->link.retry_ns = at_ns;
    core_wake(c, at_ns);
}

void core_link_redirect(struct core *c, struct slice address, uint64_t now_ns)
{
    bool follow = address.size > 0 && address.size <= ADDRESS_BYTES_MAX &&
                  c->link.redirects < CORE_REDIRECTS_MAX;
    if (!follow) {
        core_link_down(c, HF_ENOTLEADER, address.size > 0 || c->link.failures > 0, now_ns);
        return;
    }
    uint32_t redirects = c->link.redirects + 1;
    memcpy(c->link.target, address.data, address.size);
    c->link.target[address.size] = '\0';
    core_link_down(c, HF_ENOTLEADER, false, now_ns);
    c->metrics.redirects += 1;
    c->link.redirects = redirects;
    c->link.redirected = true;
    c->link.retry_ns = now_ns;
}

void core_connected(struct core *c, uint64_t epoch, uint64_t now_ns)
{
    if (epoch != c->link.epoch || c->link.state != LINK_CONNECTING) return;
    struct msg_hello hello = {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX, c->config.name};
    c->link.hello_id = core_draw_id(c, ID_HELLO, 0);
    c->metrics.connections += 1;
    c->link.state = LINK_HELLO;
    arm(c, now_ns + core_link_patience_ns(c));
    if (core_write_request(c, OP_CODE_HELLO, c->link.hello_id, false, &hello) != HF_OK)
        core_link_down(c, HF_ENOMEM, true, now_ns);
}

void core_disconnected(struct core *c, uint64_t epoch, uint64_t now_ns)
{
    if (epoch != c->link.epoch || c->link.state < LINK_CONNECTING) return;
    bool stood = c->link.state == LINK_READY;
    core_link_down(c, HF_ECONNECT, !stood && c->link.endpoint_count == 1, now_ns);
    core_link_advance(c, now_ns);
}

void core_link_tick(struct core *c, uint64_t now_ns)
{
    if (c->link.vain_count > 0 && now_ns - c->link.vain_ns > CALM_NS) c->link.vain_count = 0;
    if (c->link.timeout_ns <= now_ns) {
        bool refused = c->link.state == LINK_CONNECTING;
        if (!refused) note_vain(c, now_ns); /* it may be slow: give the next one more time */
        core_link_down(c, refused ? HF_ECONNECT : HF_ETIMEOUT, is_lone(c), now_ns);
    }
    if (c->session.keep_timeout_ns <= now_ns && c->session.keep_id != 0) leave_silent(c, now_ns);
    if (is_silent(c, now_ns)) leave_silent(c, now_ns);
    if (c->link.deaf) core_link_down(c, HF_ETIMEOUT, false, now_ns);
    if (c->over_count > CORE_CALLS_MAX / 2 && c->link.state == LINK_READY)
        core_link_down(c, HF_ECORRUPT, true, now_ns); /* it owes too many late replies */
    core_wake(c, c->link.timeout_ns);
    if (c->session.keep_id != 0) core_wake(c, c->session.keep_timeout_ns);
}

void core_link_advance(struct core *c, uint64_t now_ns)
{
    switch (c->link.state) {
    case LINK_IDLE:
    case LINK_PAUSE:
        if (!has_reason(c)) {
            c->link.state = LINK_IDLE;
        } else if (c->link.state == LINK_PAUSE && c->link.retry_ns > now_ns) {
            core_wake(c, c->link.retry_ns);
        } else {
            connect_now(c, now_ns);
        }
        break;
    case LINK_OPEN:
        if (c->session.phase == SESSION_NONE && list_empty(&c->send_session)) break;
        core_session_start(c, now_ns);
        if (c->link.state == LINK_SESSION) arm(c, now_ns + core_link_patience_ns(c));
        break;
    case LINK_CONNECTING:
    case LINK_HELLO:
    case LINK_SESSION:
    case LINK_READY: break;
    }
}

/* ------------------------------------------------------------------ in */

static bool is_other_cluster(struct core *c, struct slice id, uint64_t now_ns)
{
    static const uint8_t unknown[CLUSTER_ID_BYTES];
    if (memcmp(c->link.cluster_id, unknown, CLUSTER_ID_BYTES) == 0) return false;
    if (memcmp(c->link.cluster_id, id.data, CLUSTER_ID_BYTES) == 0) return false;
    return c->session.phase == SESSION_LIVE && c->session.deadline_ns > now_ns;
}

static bool greeted(struct core *c, const struct reply_frame *reply, uint64_t now_ns)
{
    c->link.hello_id = 0;
    struct msg_hello_reply hello;
    arena_reset(&c->arena);
    if (reply->status != HF_OK) {
        core_link_down(c, reply->status, true, now_ns);
        return true;
    }
    if (codec_decode(&msg_hello_reply_type, reply->body, &c->arena, &hello) != HF_OK) return false;
    if (hello.version < PROTOCOL_VERSION_MIN || hello.version > PROTOCOL_VERSION_MAX ||
        is_other_cluster(c, hello.cluster_id, now_ns)) {
        core_link_down(c, HF_EVERSION, true, now_ns); /* not one that we can go on with */
        return true;
    }
    memcpy(c->link.cluster_id, hello.cluster_id.data, CLUSTER_ID_BYTES);
    c->link.timeout_ns = CORE_NEVER;
    c->link.state = LINK_OPEN;
    core_link_advance(c, now_ns);
    return true;
}

/* A frame that answers nothing: the session was resumed elsewhere, or a complaint. Our own older
 * RESUME, overtaken in the network, can supersede us right after we came: then resume once more;
 * otherwise somebody has a copy of this client, and fighting over the session would serve nobody.
 */
static void unasked(struct core *c, const struct reply_frame *reply, uint64_t now_ns)
{
    if (reply->status != HF_ESUPERSEDED) {
        core_link_down(c, HF_ECORRUPT, true, now_ns);
        return;
    }
    bool race =
        !c->link.superseded && now_ns - c->link.up_ns < (uint64_t)SUPERSEDED_RACE_MS * NS_PER_MS;
    c->link.superseded = race;
    core_link_down(c, HF_ESUPERSEDED, true, now_ns);
    if (!race) core_session_end(c, HF_ESUPERSEDED, 0, now_ns);
}

/* Somebody serves: HELLO alone says that a process listens, not that there is a leader. */
static void answered(struct core *c, uint64_t id)
{
    if ((id >> ID_KIND_SHIFT & ID_KIND_MASK) != ID_HELLO) breaker_answered(&c->breaker);
}

bool core_link_frame(struct core *c, const struct reply_frame *reply, uint64_t now_ns)
{
    uint64_t id = reply->request_id;
    if (reply->status == HF_OK || status_kind(reply->status) == STATUS_ANSWER ||
        reply->status == HF_ETOOBUSY || reply->status == HF_ENOSPACE)
        answered(c, id);
    uint32_t index = (uint32_t)(id & (CORE_CALLS_MAX - 1));
    if (id == 0) {
        unasked(c, reply, now_ns);
        return true;
    }
    switch (id >> ID_KIND_SHIFT & ID_KIND_MASK) {
    case ID_CALL:
        if (index >= c->call_count || c->calls[index]->request_id != id) return false;
        return core_answered(c, c->calls[index], reply, now_ns);
    case ID_CANCEL:
        if (index >= c->call_count || c->calls[index]->cancel_id != id) return false;
        return core_cancelled(c, c->calls[index], reply, now_ns);
    case ID_HELLO: return id == c->link.hello_id && greeted(c, reply, now_ns);
    case ID_SESSION: return id == c->link.session_id && core_session_started(c, reply, now_ns);
    case ID_KEEP:
        if (c->session.keep_id == 0 && c->session.phase < SESSION_LIVE)
            return true; /* of a session whose end another answer has told */
        return id == c->session.keep_id && core_session_kept(c, reply, now_ns);
    case ID_ABANDON:
        if (index >= c->abandon_count || c->abandons[index].request_id != id) return false;
        core_abandoned(c, index, reply, now_ns);
        return true;
    default: return false;
    }
}

/* Read whole frames from the front of `bytes`. \return how many bytes were used; the link may be
 * down afterwards. */
static size_t read_frames(struct core *c, struct slice bytes, uint64_t epoch, uint64_t now_ns)
{
    size_t used = 0;
    while (c->link.epoch == epoch) {
        struct slice rest = slice_make(bytes.data + used, bytes.size - used);
        size_t size = 0;
        struct reply_frame reply;
        if (frame_next(rest, FRAME_BYTES_MAX, &size) != HF_OK) {
            core_link_down(c, HF_ECORRUPT, true, now_ns);
            break;
        }
        if (size == 0) break;
        if (frame_read_reply(slice_make(rest.data, size), &reply) != HF_OK ||
            !core_link_frame(c, &reply, now_ns)) {
            if (c->link.epoch == epoch) core_link_down(c, HF_ECORRUPT, true, now_ns);
            break;
        }
        used += size;
    }
    return used;
}

void core_received(struct core *c, uint64_t epoch, struct slice bytes, uint64_t now_ns)
{
    if (epoch != c->link.epoch || c->link.state < LINK_HELLO) return;
    c->link.heard_ns = now_ns;
    c->metrics.bytes_in += bytes.size;
    core_session_tick(c, now_ns); /* what is past its deadline is lost, whatever comes now */
    if (c->link.epoch != epoch) return;
    if (c->in.size == 0) { /* whole frames need no copy */
        size_t used = read_frames(c, bytes, epoch, now_ns);
        if (c->link.epoch == epoch) bytes = slice_make(bytes.data + used, bytes.size - used);
    }
    if (c->link.epoch == epoch && bytes.size > 0) {
        if (buffer_append(&c->in, bytes.data, bytes.size) != HF_OK) {
            core_link_down(c, HF_ENOMEM, true, now_ns);
        } else if (c->in.size > bytes.size) {
            size_t used = read_frames(c, buffer_slice(&c->in), epoch, now_ns);
            if (c->link.epoch == epoch) buffer_consume(&c->in, used);
        }
    }
    core_link_advance(c, now_ns);
    core_pump(c, now_ns);
}
