/* Words of the contract for people and for JSON, and the pieces that several reading verbs share.
 */
#ifndef CLIENT_CLI_WORDS_H
#define CLIENT_CLI_WORDS_H

#include "client/cli/cli.h"
#include "client/raw.h"

enum { READING_TIMEOUT_MS = 5000 }; /* a restart is waited for, a person not kept long */

/** "exclusive", "shared", "permits". \param mode  enum lock_mode. */
const char *word_of_mode(uint64_t mode);

/** "RUNNING", "DONE", ...; "ABSENT" for 0. \param state  enum record_state. */
const char *word_of_state(uint64_t state);

/** "released", "expired", ...; "" for 0. \param reason  enum end_reason. */
const char *word_of_reason(uint64_t reason);

/** "granted", "ended", "downgraded", "upgraded". \param what  enum lock_transition. */
const char *word_of_transition(uint64_t what);

/** "none", "once", "derived". \param mark  enum external_mark. */
const char *word_of_mark(uint64_t mark);

/** "whole", "omitted", "reference", "erased". \param kind  enum body_kind. */
const char *word_of_body(uint64_t kind);

/** "resolve", "reopen", "erase", "config set", "force", "revoke", ...; "" for none.
 * \param op enum op_code. */
const char *word_of_act(uint64_t op);

/** "", "asked", "overdue". \param asked  enum asked_back. */
const char *word_of_asked(uint64_t asked);

/** "auto", "manual", "never". \param policy  enum takeover_policy. */
const char *word_of_takeover(uint64_t policy);

/** "voter", "standby", "spare". \param role  enum member_role. */
const char *word_of_role(uint64_t role);

/** Open the client and an arena for raw_call(). \return CLI_OK, or an exit code after a sentence.
 */
HF_MUST_USE
int reading_open(struct cli *cli, struct arena *arena);

/** `name` fits a lock, a key or a prefix of one. \param min  least bytes.
 * \return CLI_OK, or CLI_USAGE after a sentence. */
HF_MUST_USE
int name_check(const struct verb *verb, const char *name, size_t min);

/** The enum record_state of --state. \param word  NULL = any. \param state  Out: RECORD_ABSENT for
 * any. \return CLI_OK, or CLI_USAGE after a sentence. */
HF_MUST_USE
int state_check(const char *word, uint64_t *state);

#endif
