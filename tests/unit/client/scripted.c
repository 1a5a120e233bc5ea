/* The scripted server; see scripted.h. */
#include "tests/unit/client/scripted.h"

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

static void draw(void *out, size_t bytes, void *data)
{
    struct script *s = data;
    uint8_t *p = out;
    for (size_t i = 0; i < bytes; i++) { /* its low bits alone would repeat after 16 draws */
        s->seed = s->seed * UINT64_C(6364136223846793005) + 1;
        p[i] = (uint8_t)(s->seed >> 56);
    }
}

void script_open(struct script *s, const char *servers, uint64_t ttl_ms)
{
    script_open_recorded(s, servers, ttl_ms, NULL);
}

void script_open_recorded(struct script *s, const char *servers, uint64_t ttl_ms,
                          struct recorder_sink *history)
{
    *s = (struct script){.now_ns = 1000 * SEC, .seed = 1};
    struct core_config config = {.servers = servers,
                                 .name = slice_of("test"),
                                 .ttl_ms = ttl_ms,
                                 .margin_ms = 20,
                                 .drift_ppm = 10000,
                                 .random_cb = draw,
                                 .random_data = s,
                                 .history = history};
    assert_int_equal(core_init(&s->core, &config), HF_OK);
    buffer_init(&s->wire, 64 * 1024 * 1024);
    assert_int_equal(arena_init(&s->arena, 16 * 1024 * 1024), HF_OK);
}

void script_close(struct script *s)
{
    core_close(&s->core);
    buffer_close(&s->wire);
    arena_close(&s->arena);
}

static void read_requests(struct script *s)
{
    assert_int_equal(buffer_append(&s->wire, s->core.out.data, s->core.out.size), HF_OK);
    buffer_clear(&s->core.out);
    core_drained(&s->core, s->now_ns);
    for (;;) {
        struct slice rest = slice_make(s->wire.data + s->parsed, s->wire.size - s->parsed);
        struct request_frame frame;
        size_t size;
        assert_int_equal(frame_next(rest, FRAME_BYTES_MAX, &size), HF_OK);
        if (size == 0) return;
        assert_int_equal(frame_read_request(slice_make(rest.data, size), &frame), HF_OK);
        assert_true(s->count < SCRIPTED_REQUESTS_MAX);
        struct request *r = &s->requests[s->count++];
        *r = (struct request){.op = frame.op, .id = frame.request_id};
        uint8_t *body = arena_take(&s->arena, frame.body.size + frame.envelope.size + 1);
        assert_non_null(body);
        memcpy(body, frame.body.data, frame.body.size);
        r->body = slice_make(body, frame.body.size);
        const char *sentence = "";
        assert_int_equal(
            codec_decode(&client_envelope_type, frame.envelope, &s->arena, &r->envelope), HF_OK);
        if (envelope_check(r->op, &r->envelope, &sentence) != HF_OK) fail_msg("%s", sentence);
        s->parsed += size;
    }
}

void script_step(struct script *s)
{
    for (int i = 0; i < 4 && s->core.wake_ns <= s->now_ns; i++) core_tick(&s->core, s->now_ns);
    read_requests(s);
}

void script_pass(struct script *s, uint64_t ns)
{
    uint64_t end = s->now_ns + ns;
    script_step(s);
    while (s->core.wake_ns < end) {
        if (s->core.wake_ns > s->now_ns) s->now_ns = s->core.wake_ns;
        core_tick(&s->core, s->now_ns);
        read_requests(s);
    }
    s->now_ns = end;
    script_step(s);
}

struct request *script_expect(struct script *s, uint16_t op)
{
    script_step(s);
    if (s->next >= s->count) fail_msg("nothing was sent, not %s", op_find(op)->name);
    struct request *r = &s->requests[s->next++];
    if (r->op != op) fail_msg("%s was sent, not %s", op_find(r->op)->name, op_find(op)->name);
    return r;
}

void script_expect_nothing(struct script *s)
{
    script_step(s);
    if (s->next < s->count) fail_msg("%s was sent", op_find(s->requests[s->next].op)->name);
}

void script_decode(struct script *s, const struct request *r, void *out)
{
    assert_int_equal(codec_decode(op_find(r->op)->request, r->body, &s->arena, out), HF_OK);
}

void script_reply_flags(struct script *s, const struct request *r, int status, unsigned flags,
                        const void *answer)
{
    struct buffer body;
    struct buffer frame;
    buffer_init(&body, FRAME_BYTES_MAX);
    buffer_init(&frame, FRAME_BYTES_MAX);
    if (answer != NULL)
        assert_int_equal(codec_encode(op_reply_type(r->op, status), answer, &body), HF_OK);
    struct reply_frame reply = {.status = status,
                                .reply_class = (uint8_t)status_reply_class(status),
                                .flags = (uint8_t)flags,
                                .request_id = r->id,
                                .body = buffer_slice(&body)};
    assert_int_equal(frame_write_reply(&frame, &reply), HF_OK);
    script_send(s, frame.data, frame.size);
    buffer_close(&body);
    buffer_close(&frame);
}

void script_reply(struct script *s, const struct request *r, int status, const void *answer)
{
    script_reply_flags(s, r, status, 0, answer);
}

void script_send(struct script *s, const void *bytes, size_t size)
{
    core_received(&s->core, s->core.link.epoch, slice_make(bytes, size), s->now_ns);
    script_step(s);
}

void script_cut(struct script *s)
{
    core_disconnected(&s->core, s->core.link.epoch, s->now_ns);
    script_step(s);
}

void script_connect(struct script *s)
{
    script_step(s);
    for (int i = 0; i < 30 && s->core.link.state != LINK_CONNECTING; i++) script_pass(s, 100 * MS);
    assert_int_equal(s->core.link.state, LINK_CONNECTING);
    core_connected(&s->core, s->core.link.epoch, s->now_ns);
    struct request *hello = script_expect(s, OP_CODE_HELLO);
    static const uint8_t cluster[CLUSTER_ID_BYTES] = {1};
    struct msg_hello_reply greeting = {1, slice_of("scripted"), 1,
                                       slice_make(cluster, sizeof cluster)};
    script_reply(s, hello, HF_OK, &greeting);
}

void script_open_session(struct script *s)
{
    script_connect(s);
    struct msg_open_reply opened = {77, s->core.config.ttl_ms};
    script_reply(s, script_expect(s, OP_CODE_OPEN), HF_OK, &opened);
}

struct msg_keep_reply script_kept(void)
{
    return (struct msg_keep_reply){.ttl_ms = 10000}; /* as it was asked for: not looked at */
}

void script_resume(struct script *s)
{
    script_connect(s);
    struct msg_keep_reply kept = script_kept();
    script_reply(s, script_expect(s, OP_CODE_RESUME), HF_OK, &kept);
}

struct call *script_acquire(struct script *s, uint64_t wait_ms, uint64_t hold_ms,
                            enum call_fate fate)
{
    struct slice names[1] = {slice_of("a")};
    struct msg_acquire acquire = {.names = {names, 1},
                                  .owner = core_draw_owner(&s->core),
                                  .wait_ms = wait_ms,
                                  .hold_max_ms = hold_ms};
    struct call *call;
    assert_int_equal(core_call_new(&s->core, OP_CODE_ACQUIRE, &acquire, &call), HF_OK);
    call->fate = fate;
    call->owner = acquire.owner;
    call->hold_ms = hold_ms;
    core_submit(&s->core, call, s->now_ns + wait_ms * MS + 5 * SEC, s->now_ns);
    return call;
}

struct call *script_begin(struct script *s, uint64_t lease_ms)
{
    static const uint8_t fingerprint[FINGERPRINT_BYTES];
    struct msg_begin begin = {.key = slice_of("k"),
                              .fingerprint = slice_make(fingerprint, FINGERPRINT_BYTES),
                              .lease_ms = lease_ms,
                              .retain_ms = RETAIN_MS_DEFAULT};
    struct call *call;
    assert_int_equal(core_call_new(&s->core, OP_CODE_BEGIN, &begin, &call), HF_OK);
    call->fate = FATE_CANCEL;
    call->hold_ms = lease_ms;
    call->wants_reply = true;
    core_submit(&s->core, call, s->now_ns + 5 * SEC, s->now_ns);
    return call;
}

void script_grant(struct script *s, const struct request *r, uint64_t token)
{
    struct msg_granted granted = {.fencing_token = token, .count = 1};
    script_reply(s, r, HF_OK, &granted);
}

void script_finish(struct script *s, struct call *call, int verdict)
{
    struct call *done = core_take_finished(&s->core);
    assert_ptr_equal(done, call);
    if (call->verdict != verdict)
        fail_msg("%s, not %s", status_name(call->verdict), status_name(verdict));
    core_detach(&s->core, call);
}
