/* SPDX-License-Identifier: Apache-2.0 */
/* otrp tee-sim process, answer and query: one question in, one answer out. */
#include "applets/tee_sim.h"

#include <string.h>

#include "applets/broken.h"
#include "otrp/response.h"
#include "otrp/ta_information.h"
#include "sim/tee_fault.h"

/* ---- process ---- */

const struct option_row tee_run_options[] = {
    OPT_TEXT(tee_run, state, 's', "DIR", OPT_DIR, "state folder (required)"),
    OPT_TEXT(tee_run, device, 0, "NAME", 0, "device of the folder (default: the only one)"),
    OPT_TEXT(tee_run, out, 'o', "FILE", OPT_FILE,
             "write the answer to FILE (default: standard output)"),
    OPT_NUMBER(tee_run, wait, 0, "S", 1, TEE_SIM_MOST_WAIT,
               "wait so many seconds for others on the folder, then answer ERR_AGENT_TEE_BUSY "
               "(default 10)"),
    OPT_LIST(tee_run, fault, 0, "NAME", OPT_LISTED,
             "misbehave in this way; repeatable; 'list' names them all"),
    OPERAND(tee_run, request, "REQUEST", OPT_FILE, "OTrP request (default: standard input)"),
    OPT_END};

/* What the broker says when the TEE is at work for others. */
static enum rc say_busy(const struct applet_call *call, const struct tee_outcome *outcome,
                        struct error *err)
{
    const struct tee_run *o = call->options;
    struct error unwritten;
    AUTO(buffer) *answer = broker_error_make(outcome->rid, outcome->tid, ERR_AGENT_TEE_BUSY);
    if (!answer)
        return error_memory(err), err->rc;
    if (call_put(call, o->out, buffer_span(answer), OUTPUT_PUBLIC, &unwritten) != RC_OK)
        return *err = unwritten, err->rc;
    error_prefix(err, "%s: %s", outcome->type->name, error_code_name(ERR_AGENT_TEE_BUSY));
    return err->rc = RC_PEER;
}

enum rc tee_sim_fault_list(const struct applet_call *call, struct error *err)
{
    size_t count = tee_fault_count();
    struct broken_row *own = calloc(count, sizeof *own);
    if (!own)
        return error_memory(err), err->rc;
    for (size_t i = 0; i < count; i++)
        own[i] = (struct broken_row){tee_fault_row(i).name, tee_fault_row(i).title};
    enum rc rc = broken_list_with(call, MUTATION_RESPONSE, NULL, own, count, err);
    free(own);
    return rc;
}

/* What a client application asks has a command of its own. */
static void hint_query(struct span text, struct error *err)
{
    struct error ignored;
    AUTO(json_t) *query = ta_query_read(text, &ignored);
    if (query)
        error_hint(err, "a TAQuery is for 'otrp tee-sim query'");
}

/* The device's answer, or that of one that misbehaves. */
static buffer *ask_device(const struct applet_call *call, device *dev, struct span text,
                          struct tee_outcome *outcome, struct error *err)
{
    const struct tee_run *o = call->options;
    AUTO(tee_faults) *faults = NULL;
    if (o->fault.count && !(faults = tee_faults_new(&o->fault, clock_now(&call->clock), err)))
        return NULL;
    AUTO(request) *r = request_new(text);
    if (!r || (faults && r->type && !tee_faults_fit(faults, r->type->id, err)))
        return r ? NULL : (error_memory(err), NULL);
    dev->faults = faults;
    buffer *answer = tee_answer(dev, r, outcome, err);
    dev->faults = NULL;
    if (!answer && !r->type)
        hint_query(text, err);
    return answer;
}

enum rc tee_run_run(const struct applet_call *call, struct error *err)
{
    const struct tee_run *o = call->options;
    if (broken_is_list(&o->fault))
        return tee_sim_fault_list(call, err);
    if (!tee_sim_state_given(o->state, err))
        return err->rc;
    AUTO(output_set) *check = output_set_new(call->common->force);
    if (!check || !output_possible(check, o->out, err)) /* before the state changes */
        return err->rc;
    AUTO(device) *dev = tee_sim_open(call, o->state, o->device, o->wait, err);
    AUTO(buffer) *text = dev ? input_read(o->request, LIMIT_MESSAGE_BYTES, err) : NULL;
    if (!text || !input_check(o->request, text, err))
        return err->rc;
    struct tee_outcome outcome = {.code = ERR_NONE};
    AUTO(buffer) *answer = ask_device(call, dev, buffer_span(text), &outcome, err);
    if (!answer)
        return outcome.busy ? say_busy(call, &outcome, err) : err->rc;
    enum rc rc = call_put(call, o->out, buffer_span(answer), OUTPUT_PUBLIC, err);
    if (rc != RC_OK) {
        error_hint(err, "the device has answered; 'otrp tee-sim answer --state %s' tells it again",
                   o->state);
        return rc;
    }
    if (outcome.code == ERR_NONE) {
        say(call, "%s: pass", outcome.type->name);
        return RC_OK;
    }
    *err = outcome.error;
    err->rc = RC_PEER;
    error_prefix(err, "%s: %s", outcome.type->name, error_code_name(outcome.code));
    error_code_hint(err, error_code_name(outcome.code));
    return RC_PEER;
}

/* ---- answer ---- */

const struct option_row tee_again_options[] = {
    OPT_TEXT(tee_again, state, 's', "DIR", OPT_REQUIRED | OPT_DIR, "state folder"),
    OPT_TEXT(tee_again, device, 0, "NAME", 0, "device of the folder (default: the only one)"),
    OPT_TEXT(tee_again, tamid, 0, "ID", 0, "the last answer to this TAM (default: to any)"),
    OPT_TEXT(tee_again, rid, 0, "ID", 0, "only if it is the answer to the request of this rid"),
    OPT_TEXT(tee_again, out, 'o', "FILE", OPT_FILE,
             "write the answer to FILE (default: standard output)"),
    OPT_END};

enum rc tee_again_run(const struct applet_call *call, struct error *err)
{
    const struct tee_again *o = call->options;
    AUTO(device) *dev = tee_sim_open(call, o->state, o->device, 0, err);
    AUTO(buffer) *answer = dev ? tee_last_answer(dev, o->tamid, o->rid, err) : NULL;
    return answer ? call_put(call, o->out, buffer_span(answer), OUTPUT_PUBLIC, err) : err->rc;
}

/* ---- query ---- */

const struct option_row tee_ask_options[] = {
    OPT_TEXT(tee_ask, state, 's', "DIR", OPT_REQUIRED | OPT_DIR, "state folder"),
    OPT_TEXT(tee_ask, device, 0, "NAME", 0, "device of the folder (default: the only one)"),
    OPT_TEXT(tee_ask, spid, 0, "ID", 0, "service provider"),
    OPT_TEXT(tee_ask, taid, 0, "ID", 0, "trusted application"),
    OPT_TEXT(tee_ask, nonce, 0, "TEXT", 0, "comes back in the signed answer"),
    OPT_TEXT(tee_ask, tamid, 0, "ID", 0, "TAM that installed it, where several did"),
    OPT_TEXT(tee_ask, out, 'o', "FILE", OPT_FILE,
             "write the answer to FILE (default: standard output)"),
    OPERAND(tee_ask, query, "QUERY", OPT_FILE, "a TAQuery as JSON, instead of --spid and --taid"),
    OPT_END};

static buffer *query_text(const struct tee_ask *o, struct error *err)
{
    if (o->query && (o->spid || o->taid)) {
        error_set(err, RC_USAGE, "QUERY stands for --spid and --taid: give the one or the others");
        return NULL;
    }
    if (o->query)
        return input_read(o->query, LIMIT_SMALL_JSON, err);
    if (!o->spid || !o->taid) {
        error_set(err, RC_USAGE, "--spid and --taid say which TA is asked for");
        return NULL;
    }
    AUTO(json_t) *query = json_pack("{s:{s:s, s:s, s:s*, s:s*}}", "TAQuery", "spid", o->spid,
                                    "taid", o->taid, "nonce", o->nonce, "tamid", o->tamid);
    if (!query)
        error_set(err, RC_USAGE, "the query is not UTF-8");
    return query ? json_compact(query) : NULL;
}

enum rc tee_ask_run(const struct applet_call *call, struct error *err)
{
    const struct tee_ask *o = call->options;
    AUTO(device) *dev = tee_sim_open(call, o->state, o->device, 0, err);
    AUTO(buffer) *query = dev ? query_text(o, err) : NULL;
    if (!query)
        return err->rc;
    enum error_code_id code;
    AUTO(buffer) *answer = tee_query(dev, buffer_span(query), &code, err);
    if (!answer)
        return err->rc;
    enum rc rc = call_put(call, o->out, buffer_span(answer), OUTPUT_PUBLIC, err);
    if (rc != RC_OK || code == ERR_NONE)
        return rc;
    error_set(err, RC_PEER, "%s: %s", error_code_name(code), error_code_row(code)->meaning);
    error_hint(err, "%s", error_code_row(code)->remedy);
    return RC_PEER;
}
