#include "client/cli/record_json.h"

#include "client/cli/words.h"

void record_line_json(struct json *j, const struct record_line *r)
{
    json_text(j, "key", r->key);
    json_text(j, "state", slice_of(word_of_state(r->state)));
    json_bool(j, "lapsed", r->lapsed != 0);
    json_token(j, "fencing_token", r->fencing_token);
    json_number(j, "attempt", r->attempt);
    json_number(j, "code", r->code);
    json_number(j, "since_ms", r->since_ms);
    json_number(j, "left_ms", r->left_ms);
    json_text(j, "open_mark", slice_of(word_of_mark(r->external)));
    json_text(j, "checkpoint", r->checkpoint);
    json_text(j, "client_name", r->client_name);
    json_text(j, "peer", r->peer);
    json_text(j, "outcome", slice_of(r->outcome != 0 ? word_of_state(r->outcome) : ""));
    json_text(j, "secret_id", r->secret_id);
}

struct record_line record_line_of(const struct msg_record_reply *r)
{
    return (struct record_line){
        .key = r->key,
        .state = r->state,
        .lapsed = r->lapsed,
        .fencing_token = r->fencing_token,
        .attempt = r->attempt,
        .code = r->code,
        .since_ms = r->since_ms,
        .left_ms = r->left_ms,
        .external = r->external,
        .checkpoint = r->checkpoint,
        .client_name = r->client_name,
        .peer = r->peer,
        .outcome = r->outcome,
        .secret_id = r->secret_id,
    };
}

void record_json(const struct msg_record_reply *r, const char *derived)
{
    struct json j = {.depth = 0};
    struct record_line line = record_line_of(r);
    const struct late_item *late = r->late.items;
    json_object(&j, NULL);
    record_line_json(&j, &line);
    json_hex(&j, "fingerprint", r->fingerprint);
    json_text(&j, "takeover", slice_of(word_of_takeover(r->takeover)));
    json_number(&j, "retain_ms", r->retain_ms);
    json_number(&j, "born_ms", r->born_ms);
    json_number(&j, "done_at_ms", r->done_at_ms);
    json_token(&j, "session", r->session);
    json_number(&j, "checkpoint_number", r->checkpoint_number);
    json_text(&j, "checkpoint_data", r->checkpoint_data);
    json_text(&j, "meta", r->meta);
    json_text(&j, "headers", r->headers);
    json_text(&j, "body", r->body);
    json_text(&j, "body_kind", slice_of(word_of_body(r->body_kind)));
    json_hex(&j, "result_hash", r->completion);
    json_bool(&j, "ever_marked", r->marked != 0);
    json_text(&j, "act", slice_of(word_of_act(r->act)));
    json_number(&j, "act_at_ms", r->act_at_ms);
    json_text(&j, "evidence", r->evidence);
    json_text(&j, "operator", r->operator_name);
    json_number(&j, "parked", r->parked_count);
    json_array(&j, "late_completions");
    for (uint32_t i = 0; i < r->late.count; i++) {
        json_object(&j, NULL);
        json_token(&j, "fencing_token", late[i].fencing_token);
        json_text(&j, "outcome", slice_of(word_of_state(late[i].outcome)));
        json_number(&j, "code", late[i].code);
        json_hex(&j, "body_hash", late[i].body_hash);
        json_number(&j, "at_ms", late[i].at_ms);
        json_end(&j);
    }
    json_end(&j);
    if (derived != NULL) json_text(&j, "derived_key", slice_of(derived));
    json_end(&j);
}
