/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_bad_yaml.c - every mistake in an experiment or one of its parts is answered by place, name
 * and remedy
 *
 * 'says' is how the message begins; it is the whole of it but where names of configs or a scratch
 * folder's path follow. */
#include "scratch.h"

#define PLAIN "experiment: t\nmodel: tiny.yaml\ndevice: m1-max\npolicy: all\n"

/* file x.yaml: the experiment itself, '@' standing for PLAIN (four lines) in front.  Another file:
 * that part, in an experiment that is right.  In 'says' a leading '@' stands for the source folder.
 */
// clang-format off
static const struct {
	const char *why, *file, *text, *says;
} bad[] = {
	{"no key is ignored", "x.yaml", "@tokns: 3\n",
	 "x.yaml:5:1: unknown key tokns (did you mean tokens?)"},
	{"no key stands twice", "x.yaml", "@tokens: 3\ntokens: 4\n",
	 "x.yaml:6:1: key tokens repeats (first at line 5)"},
	{"a count is whole", "x.yaml", "@tokens: 2.5\n",
	 "x.yaml:5:9: tokens: 2.5 is not a whole number"},
	{"a count has no unit", "x.yaml", "@tokens: 16KiB\n",
	 "x.yaml:5:9: tokens: '16KiB' is bytes, wanted a whole number"},
	{"a count is above its least", "x.yaml", "@tokens: 0\n",
	 "x.yaml:5:9: tokens: 0 is outside [1, 1e+06]"},
	{"and below its most", "x.yaml", "@repeats: 1001\n",
	 "x.yaml:5:10: repeats: 1001 is outside [1, 1000]"},
	{"a count has no sign", "x.yaml", "@warmup: -1\n",
	 "x.yaml:5:9: warmup: '-1' has a sign, wanted a whole number"},
	{"a number has no leading zero", "x.yaml", "@seed: 010\n",
	 "x.yaml:5:7: seed: '010' has a leading zero, wanted a whole number"},
	{"nor is it hexadecimal", "x.yaml", "@seed: 0x10\n",
	 "x.yaml:5:7: seed: '0x10' ends in 'x10', wanted a whole number without a unit"},
	{"nor a word", "x.yaml", "@ctx: many\n",
	 "x.yaml:5:6: ctx: 'many' is not a number, wanted a whole number"},
	{"nor empty", "x.yaml", "@ctx:\n",
	 "x.yaml:5:5: ctx: no value, wanted a whole number"},
	{"nor a list", "x.yaml", "@ctx: [1, 2]\n",
	 "x.yaml:5:6: ctx: wanted a value, got a list"},
	{"a word is one of its words", "x.yaml", "@sim_level: cloesd\n",
	 "x.yaml:5:12: sim_level: 'cloesd' is none of closed, recursion, events (did you mean closed?)"},
	{"threads are a number or all", "x.yaml", "@threads: al\n",
	 "x.yaml:5:10: threads: 'al' is neither a whole number nor all (did you mean all?)"},
	{"there are two worlds", "x.yaml", "@worlds: [sim, reel]\n",
	 "x.yaml:5:15: worlds: 'reel' is none of sim, real"},
	{"a list of them", "x.yaml", "@worlds: []\n",
	 "x.yaml:5:9: worlds: wanted a list of sim and real, got an empty list"},
	{"no mapping", "x.yaml", "@worlds: {sim: true}\n",
	 "x.yaml:5:9: worlds: wanted a list of sim and real, got a mapping"},
	{"a figure has a name", "x.yaml", "@figures: [latencies]\n",
	 "x.yaml:5:11: figures: no figure 'latencies', did you mean latency? (`flashcast plot --help` lists them)"},
	{"figures are a list", "x.yaml", "@figures: latency\n",
	 "x.yaml:5:10: figures: wanted a list of names, got a value"},
	{"context fits the model", "x.yaml", "@ctx: 1024\n",
	 "x.yaml:5:6: ctx: 1024 is more than model tiny's position_count 512"},
	{"a read holds a row at least", "x.yaml",
	 "experiment: t\nmodel: opt-6.7b\ndevice: m1-max\npolicy: {base: coalesce, coalesce_most: 8KiB}\n",
	 "x.yaml:4:41: coalesce_most: 8192 B is less than one slot of 16384 B (a row, or a chunk of rows)"},
	{"an experiment has a name", "x.yaml", "model: tiny.yaml\ndevice: m1-max\npolicy: all\n",
	 "x.yaml:1:1: experiment: experiment is missing (text: name of the experiment)"},
	{"and a model", "x.yaml", "experiment: t\ndevice: m1-max\npolicy: all\n",
	 "x.yaml:1:1: experiment: model is missing (a name, a path or a mapping)"},
	{"and a device", "x.yaml", "experiment: t\nmodel: tiny.yaml\npolicy: all\n",
	 "x.yaml:1:1: experiment: device is missing (a name, a path or a mapping)"},
	{"and a policy", "x.yaml", "experiment: t\nmodel: tiny.yaml\ndevice: m1-max\n",
	 "x.yaml:1:1: experiment: policy is missing (a name, a path or a mapping)"},
	{"a policy is one that there is", "x.yaml", "experiment: t\nmodel: tiny.yaml\ndevice: m1-max\npolicy: widnow\n",
	 "x.yaml:4:9: no policy 'widnow' (did you mean window?); there are "},
	{"a device too", "x.yaml", "experiment: t\nmodel: tiny.yaml\ndevice: m1max\npolicy: all\n",
	 "x.yaml:3:9: no device 'm1max' (did you mean m1-max?); there are "},
	{"a model too", "x.yaml", "experiment: t\nmodel: opt-67b\ndevice: m1-max\npolicy: all\n",
	 "x.yaml:2:8: no model 'opt-67b' (did you mean opt-6.7b?); there are "},
	{"a path must lead somewhere", "x.yaml", "experiment: t\nmodel: tiny.yaml\ndevice: m1-max\npolicy: ./none.yaml\n",
	 "x.yaml:4:9: no policy file './none.yaml'"},
	{"a part is no list", "x.yaml", "experiment: t\nmodel: tiny.yaml\ndevice: m1-max\npolicy: [all, naive]\n",
	 "x.yaml:4:9: wanted a policy (a name, a path or a mapping), got a list"},
	{"a base is one that there is", "x.yaml", "experiment: t\nmodel: tiny.yaml\ndevice: m1-max\npolicy: {base: bundel}\n",
	 "x.yaml:4:16: no policy 'bundel' (did you mean bundle?); there are "},
	{"a target is the disk or an emulated device", "x.yaml", "@target: disc\n",
	 "x.yaml:5:9: no device 'disc'; there are "},
	{"a profile is no target", "x.yaml", "@target: m1-max\n",
	 "@/configs/device/m1-max.yaml:5:1: a real run needs a device with an `emulated:` mapping (or `throttle:`), or the word disk; this device has none"},
	{"a target has a name", "x.yaml", "@target: {emulated: {units: 4}}\n",
	 "x.yaml:5:9: device: name is missing (text: what results call the device)"},
	{"a target is complete", "x.yaml", "@target: {name: e, emulated: {units: 4}}\n",
	 "x.yaml:5:29: device.emulated: unit_ns is missing (a time: one unit's time for a read, before bytes)"},
	{"a trace is there", "x.yaml", "@trace: none.trace\n",
	 "x.yaml:5:8: trace: cannot read "},
	{"YAML has an end", "x.yaml", "@figures: [latency\n",
	 "x.yaml:6:1: did not find expected ',' or ']' (while parsing a flow sequence from 5:10)"},
	{"and no tab", "x.yaml", "@\ttokens: 3\n",
	 "x.yaml:5:1: found a tab character that violates indentation (a tab: indent with spaces) (while scanning a plain scalar from 4:9)"},
	{"and no tag", "x.yaml", "@about: !!str x\n",
	 "x.yaml:5:8: tag 'tag:yaml.org,2002:str': tags are not used here"},
	{"and one document", "x.yaml", "@---\nexperiment: u\n",
	 "x.yaml:5:1: a second document starts here, a file holds one"},
	{"an alias has an anchor", "x.yaml", "@about: *there\n",
	 "x.yaml:5:8: alias *there: no such anchor before it"},
	{"an experiment is a mapping", "x.yaml", "- one\n- two\n",
	 "x.yaml:1:1: wanted a experiment's mapping, got a list"},
	{"with keys", "x.yaml", "just text\n",
	 "x.yaml:1:1: wanted a experiment's mapping, got a value"},
	{"a swept path names something", "x.yaml", "@sweep: {product: {policy.windw: [1, 2]}}\n",
	 "x.yaml:5:34: unknown key windw (did you mean window?)"},
	{"whatever its part", "x.yaml", "@sweep: {product: {polcy.window: [1, 2]}}\n",
	 "x.yaml:5:34: unknown key polcy (did you mean policy?)"},
	{"nor deeper than there is", "x.yaml", "@sweep: {product: {policy.window.k: [1, 2]}}\n",
	 "x.yaml:5:37: 'policy.window.k': policy.window is a value ("},
	{"a swept value has its place", "x.yaml", "@sweep: {product: {policy.window: [1, 65]}}\n",
	 "x.yaml:5:38: window: 65 is outside [1, 64]"},
	{"a swept unit too", "x.yaml", "@sweep: {product: {policy.chunk: [8KiB, 8us]}}\n",
	 "x.yaml:5:40: chunk: '8us' is a time, wanted bytes"},
	{"a swept range too", "x.yaml", "@sweep: {product: {policy.window: {range: [60, 70]}}}\n",
	 "x.yaml:5:42: window: 65 is outside [1, 64]"},
	{"a swept part is one that there is", "x.yaml", "@sweep: {product: {policy: [all, nave]}}\n",
	 "x.yaml:5:33: no policy 'nave' (did you mean naive?); there are "},
	{"and is right by itself", "x.yaml", "@sweep: {product: {policy: [{base: all, windw: 3}]}}\n",
	 "x.yaml:5:40: unknown key windw (did you mean window?)"},
	{"and a list", "x.yaml", "@sweep: {product: {device: {range: [1, 2]}}}\n",
	 "x.yaml:5:27: device: wanted a list of names, paths or mappings"},
	{"zipped lists are equally long", "x.yaml", "@sweep: {zip: {ctx: [1, 2], tokens: [1, 2, 3]}}\n",
	 "x.yaml:5:14: zip: ctx has 2 values and tokens has 3, expected equal lengths"},
	{"a path is swept once", "x.yaml", "@sweep: {product: {ctx: [1]}, zip: {ctx: [2]}}\n",
	 "x.yaml:5:36: ctx is swept twice: in product and in zip"},
	{"a sweep has three keys", "x.yaml", "@sweep: {produkt: {ctx: [1]}}\n",
	 "x.yaml:5:9: sweep: unknown key produkt, expected product, zip, where (did you mean product?)"},
	{"a where knows its path", "x.yaml", "@sweep: {product: {ctx: [1, 2]}, where: {ctxx: {is: 1}}}\n",
	 "x.yaml:5:41: where: ctxx is neither swept nor in the experiment (did you mean ctx?)"},
	{"and keeps something", "x.yaml", "@sweep: {product: {ctx: [1, 2]}, where: {ctx: {at_least: 3}}}\n",
	 "x.yaml:5:40: where: keeps none of 2 points"},
	{"a sweep stays small", "x.yaml", "@sweep: {product: {ctx: {range: [1, 2000]}, seed: {range: [1, 2000]}}}\n",
	 "x.yaml:5:8: sweep: 4000000 points, at most 1000000"},
	{"a policy has no other key", "policy.yaml", "base: all\nresidncy: window\n",
	 "policy.yaml:2:1: unknown key residncy (did you mean residency?)"},
	{"a demand is one of four", "policy.yaml", "demand: nosy\n",
	 "policy.yaml:1:9: demand: 'nosy' is none of dense, oracle, trace, noisy (did you mean noisy?)"},
	{"a persistence too", "policy.yaml", "persistence: atention\n",
	 "policy.yaml:1:14: persistence: 'atention' is none of none, fraction, attention (did you mean attention?)"},
	{"a residency too", "policy.yaml", "residency: lru\n",
	 "policy.yaml:1:12: residency: 'lru' is none of none, window"},
	{"a layout too", "policy.yaml", "layout: bundel\n",
	 "policy.yaml:1:9: layout: 'bundel' is none of split, bundle (did you mean bundle?)"},
	{"a store too", "policy.yaml", "store: reallok\n",
	 "policy.yaml:1:8: store: 'reallok' is none of realloc, compact, fill-hole (did you mean realloc?)"},
	{"weights too", "policy.yaml", "weights: f61\n",
	 "policy.yaml:1:10: weights: 'f61' is none of f32, f16, bf16 (did you mean f16?)"},
	{"a share is at most 0.9", "policy.yaml", "fn_frac: 95%\n",
	 "policy.yaml:1:10: fn_frac: 95% is outside [0, 0.9]"},
	{"a share has no other unit", "policy.yaml", "fn_frac: 5ms\n",
	 "policy.yaml:1:10: fn_frac: '5ms' is a time, wanted a fraction"},
	{"a share is no text", "policy.yaml", "persist_frac: half\n",
	 "policy.yaml:1:15: persist_frac: 'half' is not a number, wanted a fraction"},
	{"a window is at least 1", "policy.yaml", "window: 0\n",
	 "policy.yaml:1:9: window: 0 is outside [1, 64]"},
	{"a chunk is at least 4 KiB", "policy.yaml", "chunk: 2KiB\n",
	 "policy.yaml:1:8: chunk: 2KiB is outside [4096, 1048576] B"},
	{"a chunk has a size", "policy.yaml", "chunk: 16k\n",
	 "policy.yaml:1:8: chunk: '16k' has an unknown unit 'k', wanted bytes in B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"},
	{"a chunk is bytes", "policy.yaml", "chunk: 16us\n",
	 "policy.yaml:1:8: chunk: '16us' is a time, wanted bytes"},
	{"a chunk is whole rows of sectors", "policy.yaml", "chunk: 5000B\n",
	 "policy.yaml:1:8: chunk: 5000 B is no multiple of model tiny's row_align 512 B"},
	{"a dense chunk is whole pages", "policy.yaml", "dense_chunk: 5000B\n",
	 "policy.yaml:1:14: dense_chunk: 5000 is no multiple of 4096 B"},
	{"reads in flight are at least 1", "policy.yaml", "in_flight: 0\n",
	 "policy.yaml:1:12: in_flight: 0 is outside [1, 1024]"},
	{"a policy does not start from itself", "policy.yaml", "base: ./policy.yaml\n",
	 "policy.yaml:1:7: base: policy.yaml starts from itself"},
	{"a policy is a mapping", "policy.yaml", "- window\n",
	 "policy.yaml:1:1: wanted a policy's mapping, got a list"},
	{"a device has no other part", "device.yaml", "base: m1-max\nflesh: {latency_ns: 1us}\n",
	 "device.yaml:2:1: unknown key flesh (did you mean flash?)"},
	{"nor other figures", "device.yaml", "base: m1-max\nflash: {latency: 1us}\n",
	 "device.yaml:2:9: unknown key latency (there are latency_ns, stream_bytes_per_s, request_rate_per_s, "},
	{"a latency is a time", "device.yaml", "base: m1-max\nflash: {latency_ns: 80MB}\n",
	 "device.yaml:2:21: latency_ns: '80MB' is bytes, wanted a time"},
	{"a bandwidth is bytes a second", "device.yaml", "base: m1-max\nflash: {peak_bytes_per_s: 6GB}\n",
	 "device.yaml:2:27: peak_bytes_per_s: '6GB' is bytes, wanted a bandwidth"},
	{"a rate is none", "device.yaml", "base: m1-max\nflash: {request_rate_per_s: 6GB/s}\n",
	 "device.yaml:2:29: request_rate_per_s: '6GB/s' is a bandwidth, wanted a rate"},
	{"a size norm is at least 1", "device.yaml", "base: m1-max\nflash: {size_norm: 0.5}\n",
	 "device.yaml:2:20: size_norm: 0.5 is outside [1, 64]"},
	{"an unknown unit is told", "device.yaml", "base: m1-max\ndram: {append_bytes_per_s: 6Gb/s}\n",
	 "device.yaml:2:28: append_bytes_per_s: '6Gb/s' has an unknown unit 'Gb/s', wanted a bandwidth in B/s, kB/s, KiB/s, MB/s, MiB/s, GB/s, GiB/s, TB/s, TiB/s"},
	{"a profile has all its parts", "device.yaml", "name: d\nflash: {latency_ns: 1us, stream_bytes_per_s: 1GB/s, request_rate_per_s: 100k/s, peak_bytes_per_s: 1GB/s}\n",
	 "device.yaml:1:1: device: dram is missing (a mapping: What the DRAM store's inserts and deletes cost.)"},
	{"and all their figures", "device.yaml", "name: d\nflash: {latency_ns: 1us}\n",
	 "device.yaml:2:8: device.flash: stream_bytes_per_s is missing (a bandwidth: B1: bandwidth of one read's own transfer)"},
	{"a profile has a noise floor", "device.yaml", "name: d\nflash: {latency_ns: 1us, stream_bytes_per_s: 1GB/s, request_rate_per_s: 100k/s, peak_bytes_per_s: 1GB/s}\ndram: {append_bytes_per_s: 1GB/s, move_bytes_per_s: 1GB/s}\ncompute: {gemv_f32_bytes_per_s: 1GB/s, gemv_f16_bytes_per_s: 1GB/s, gemv_bf16_bytes_per_s: 1GB/s, ffn_f32_bytes_per_s: 1GB/s, ffn_f16_bytes_per_s: 1GB/s, ffn_bf16_bytes_per_s: 1GB/s, kv_bytes_per_s: 1GB/s, flops_per_s: 1Gflop/s}\norigin: {kind: published}\n",
	 "device.yaml:5:9: device.origin: noise_floor_frac is missing (a fraction: repeat-to-repeat error of the measurements themselves; no two policies closer than it are ranked)"},
	{"an interval is of a figure", "device.yaml", "base: m1-max\nintervals: {latncy_ns: [1us, 2us]}\n",
	 "device.yaml:2:13: intervals: unknown parameter latncy_ns (did you mean latency_ns?)"},
	{"and low before high", "device.yaml", "base: m1-max\nintervals: {latency_ns: [2us, 1us]}\n",
	 "device.yaml:2:25: intervals: latency_ns: low 2000 is above high 1000 ns"},
	{"an emulated device predicts nothing", "device.yaml", "base: emulated-m1-max\n",
	 "@/configs/device/emulated-m1-max.yaml:18:3: device: an emulated device predicts nothing: name it with target: (or --set target=...), and give device: the profile that `flashcast calibrate --device` makes of it"},
	{"a model has no other key", "model.yaml", "base: tiny.yaml\nlayers: 3\n",
	 "model.yaml:2:1: unknown key layers (there are name, family, layer_count, d_model, d_ffn, head_count, kv_head_count, vocab_count, own_head, position_count, activation, row_align, activity)"},
	{"a family is one of two", "model.yaml", "base: tiny.yaml\nfamily: llama\n",
	 "model.yaml:2:9: family: 'llama' is none of opt, falcon"},
	{"heads divide the width", "model.yaml", "base: tiny.yaml\nhead_count: 5\nkv_head_count: 5\n",
	 "model.yaml:2:13: head_count: 5, expected a divisor of d_model 64"},
	{"OPT has as many key heads", "model.yaml", "base: tiny.yaml\nkv_head_count: 2\n",
	 "model.yaml:2:16: kv_head_count: 2, expected head_count 4 in family opt"},
	{"a width is a multiple of 32", "model.yaml", "base: tiny.yaml\nd_model: 100\n",
	 "model.yaml:2:10: d_model: 100, expected a multiple of 32"},
	{"neurons come by 64", "model.yaml", "base: tiny.yaml\nd_ffn: 1000\n",
	 "model.yaml:2:8: d_ffn: 1000, expected a multiple of 64"},
	{"rows are aligned to sectors or pages", "model.yaml", "base: tiny.yaml\nrow_align: 1KiB\n",
	 "model.yaml:2:12: row_align: 1024 B, expected 512B or 4KiB"},
	{"a model says its layers", "model.yaml", "family: opt\nd_model: 64\n",
	 "model.yaml:1:1: model: layer_count is missing (a whole number: decoder blocks)"},
	{"an activity is complete", "model.yaml", "base: tiny.yaml\nactivity: {active_frac: 3%}\nx: 1\n",
	 "model.yaml:3:1: unknown key x (there are name, family, layer_count, d_model, d_ffn, head_count, kv_head_count, vocab_count, own_head, position_count, activation, row_align, activity)"},
	{"an activity has no other key", "model.yaml", "base: tiny.yaml\nactivity: {actve_frac: 3%}\n",
	 "model.yaml:2:12: unknown key actve_frac (did you mean active_frac?)"},
	{"a share of neurons is below one half", "model.yaml", "base: tiny.yaml\nactivity: {active_frac: 60%}\n",
	 "model.yaml:2:25: active_frac: 60% is outside [0.0001, 0.5]"},
	{"a sparse demand needs an activity", "model.yaml", "family: opt\nlayer_count: 2\nd_model: 64\nd_ffn: 256\nhead_count: 4\nkv_head_count: 4\nvocab_count: 64\nposition_count: 512\n",
	 "model.yaml:1:1: demand noisy needs a trace: model model has no activity: to generate one from, and trace: names no file"},
	{"an emulated device has units", "target.yaml", "base: emulated-m1-max\nemulated: {units: 0}\n",
	 "target.yaml:2:19: units: 0 is outside [1, 4096]"},
	{"and no other key", "target.yaml", "base: emulated-m1-max\nemulated: {unit: 4}\n",
	 "target.yaml:2:12: unknown key unit (did you mean units?)"},
	{"a device is not called disk", "target.yaml", "base: emulated-m1-max\nname: disk\n",
	 "target.yaml:2:7: name: 'disk' is this host's own; call the device otherwise"},
	{"a stall is a time", "target.yaml", "base: emulated-m1-max\nemulated: {stall_ns: 5B}\n",
	 "target.yaml:2:22: stall_ns: '5B' is bytes, wanted a time"},
	{"a stall has a share", "target.yaml", "base: emulated-m1-max\nemulated: {stall_frac: 120%}\n",
	 "target.yaml:2:24: stall_frac: 120% is outside [0, 1]"},
};

static const struct {
	const char *why, *set, *says;
} bad_sets[] = {
	{"a set says what", "tokens", "--set 'tokens': wanted key=value"},
	{"a set names something", "tokns=3", "--set:1:7: unknown key tokns (did you mean tokens?)"},
	{"a set has a value", "tokens=", "--set 'tokens=': no value (empty text is \"\")"},
	{"a set value is checked", "tokens=0", "--set:1:8: tokens: 0 is outside [1, 1e+06]"},
	{"a set part is one that there is", "policy=nave", "--set:1:8: no policy 'nave' (did you mean naive?); there are "},
	{"a set goes into a mapping", "ctx.more=3", "--set:1:10: ctx: wanted a value, got a mapping"},
	{"a set is in a part", "policy.windw=3", "--set:1:14: unknown key windw (did you mean window?)"},
};
// clang-format on
enum { BAD = sizeof(bad) / sizeof(*bad), BAD_SETS = sizeof(bad_sets) / sizeof(*bad_sets) };

static const char *part(const char *file, const char *bad_file, const char *good)
{
	return strcmp(file, bad_file) == 0 ? file : good;
}

static void write_case(size_t i)
{
	const char *file = bad[i].file, *text = bad[i].text;
	char yaml[2048];

	scratch_write("tiny.yaml", tiny_yaml);
	if (strcmp(file, "x.yaml") == 0) {
		snprintf(yaml, sizeof(yaml), "%s%s", text[0] == '@' ? PLAIN : "",
			 text[0] == '@' ? text + 1 : text);
	} else {
		scratch_write(file, text);
		snprintf(yaml, sizeof(yaml),
			 "experiment: t\nmodel: %s\ndevice: %s\npolicy: %s\ntarget: %s\n",
			 part("model.yaml", file, "tiny.yaml"), part("device.yaml", file, "m1-max"),
			 part("policy.yaml", file, "all"), part("target.yaml", file, "disk"));
	}
	scratch_write("x.yaml", yaml);
}

static void check_says(const char *why, const char *says, const char *said)
{
	char whole[1024];

	snprintf(whole, sizeof(whole), "%s%s", says[0] == '@' ? FLASH_SOURCE_DIR : "",
		 says[0] == '@' ? says + 1 : says);
	ck_assert_msg(strncmp(said, whole, strlen(whole)) == 0, "%s: said '%s', expected '%s'", why,
		      said, whole);
}

START_TEST(test_a_mistake_is_answered_by_place_and_name)
{
	struct experiment x;
	struct err err = {0};

	write_case((size_t)_i);
	ck_assert_msg(experiment_load(&x, "x.yaml", NULL, 0, &err) == EINVAL, "%s: got %d, %s",
		      bad[_i].why, err.code, err.msg);
	check_says(bad[_i].why, bad[_i].says, err.msg);
}
END_TEST

START_TEST(test_a_wrong_set_is_answered_by_place_and_name)
{
	const char *const sets[] = {bad_sets[_i].set};
	struct experiment x;
	struct err err = {0};

	ck_assert_msg(scratch_load(&x, PLAIN, sets, 1, &err) == EINVAL, "%s: got %d, %s",
		      bad_sets[_i].why, err.code, err.msg);
	check_says(bad_sets[_i].why, bad_sets[_i].says, err.msg);
}
END_TEST

/* Else every case above might fail for another reason than its own. */
START_TEST(test_the_experiment_around_the_mistakes_is_right)
{
	struct experiment x;

	scratch_experiment(&x, PLAIN "target: disk\n");
	experiment_fini(&x);
}
END_TEST

START_TEST(test_a_file_that_is_not_there_is_named)
{
	struct experiment x;
	struct err err = {0};

	ck_assert_int_eq(experiment_load(&x, "gone.yaml", NULL, 0, &err), EINVAL);
	ck_assert_str_eq(err.msg, "no experiment file 'gone.yaml'");
	experiment_fini(&x); /* as after any failure: nothing is left */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bad YAML");
	TCase *tcase = tcase_create("mistakes");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, scratch_open, scratch_close);
	tcase_add_loop_test(tcase, test_a_mistake_is_answered_by_place_and_name, 0, BAD);
	tcase_add_loop_test(tcase, test_a_wrong_set_is_answered_by_place_and_name, 0, BAD_SETS);
	tcase_add_test(tcase, test_the_experiment_around_the_mistakes_is_right);
	tcase_add_test(tcase, test_a_file_that_is_not_there_is_named);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
