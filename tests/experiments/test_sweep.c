/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_sweep.c - which points a sweep has, in which order, and what it refuses */
#include "sweep.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the experiment says besides the sweep. */
static const char base_yaml[] = "ctx: 384\n"
				"policy: {name: all, window: 5, chunk: 16KiB, layout: bundle}\n";

static const struct {
	const char *why, *yaml, *points;
} good[] = {
	{"no key is one point", "{}", ";"},
	{"a product turns its last key fastest", "product: {a: [1, 2], b: [x, y]}",
	 "a=1 b=x;a=1 b=y;a=2 b=x;a=2 b=y;"},
	{"a zip goes side by side", "zip: {a: [1, 2], b: [x, y]}", "a=1 b=x;a=2 b=y;"},
	{"a zip multiplies with a product, as its last key",
	 "product: {a: [1, 2]}\nzip: {b: [x, y], c: [u, v]}",
	 "a=1 b=x c=u;a=1 b=y c=v;a=2 b=x c=u;a=2 b=y c=v;"},
	{"a zip written first is still the last key",
	 "zip: {b: [x, y], c: [u, v]}\nproduct: {a: [1, 2]}",
	 "a=1 b=x c=u;a=1 b=y c=v;a=2 b=x c=u;a=2 b=y c=v;"},
	{"one value needs no list", "product: {a: 1, b: [x, y]}", "a=1 b=x;a=1 b=y;"},
	{"a range counts by one", "product: {a: {range: [1, 4]}}", "a=1;a=2;a=3;a=4;"},
	{"a range has steps", "product: {a: {range: [1, 8, 3]}}", "a=1;a=4;a=7;"},
	{"a range may fall", "product: {a: {range: [3, 1, -1]}}", "a=3;a=2;a=1;"},
	{"a range of one", "product: {a: {range: [5, 5]}}", "a=5;"},
	{"decimal steps stay decimal", "product: {a: {range: [0.1, 0.5, 0.1]}}",
	 "a=0.1;a=0.2;a=0.3;a=0.4;a=0.5;"},
	{"a range has units", "product: {a: {range: [4KiB, 12KiB, 4KiB]}}",
	 "a=4KiB;a=8KiB;a=12KiB;"},
	{"and times", "product: {a: {range: [50us, 100us, 25us]}}", "a=50us;a=75us;a=100us;"},
	{"per cent are fractions", "product: {a: {range: [10%, 30%, 10%]}}", "a=0.1;a=0.2;a=0.3;"},
	{"at_least compares numbers with units",
	 "product: {a: [4KiB, 8KiB, 16384]}\nwhere: {a: {at_least: 8kB}}", "a=8KiB;a=16384;"},
	{"at_most too", "product: {a: {range: [1, 5]}}\nwhere: {a: {at_most: 2}}", "a=1;a=2;"},
	{"both bounds hold", "product: {a: {range: [1, 5]}}\nwhere: {a: {at_least: 2, at_most: 3}}",
	 "a=2;a=3;"},
	{"is compares 0.5 and 50% as one number", "product: {a: [0.5, 0.6]}\nwhere: {a: {is: 50%}}",
	 "a=0.5;"},
	{"is takes any of a list", "product: {a: [x, y, z]}\nwhere: {a: {is: [x, z]}}", "a=x;a=z;"},
	{"a bare value is short for is", "product: {a: [x, y, z]}\nwhere: {a: y}", "a=y;"},
	{"a bare list too", "product: {a: [x, y, z]}\nwhere: {a: [y, z]}", "a=y;a=z;"},
	{"is_not leaves out", "product: {a: [x, y, z]}\nwhere: {a: {is_not: y}}", "a=x;a=z;"},
	{"and none of a list", "product: {a: [x, y, z]}\nwhere: {a: {is_not: [y, x]}}", "a=z;"},
	{"unless waives, and is looked at before what cannot be ordered",
	 "product: {a: [row, 4KiB, 32KiB], l: [split, bundle]}\n"
	 "where: {a: {at_least: 16KiB, unless: {a: row}}, l: {is_not: bundle, unless: "
	 "{a: "
	 "32KiB}}}",
	 "a=row l=split;a=32KiB l=split;a=32KiB l=bundle;"},
	{"two conditions hold together",
	 "product: {a: [1, 2], b: [1, 2]}\nwhere: {a: {is: 2}, b: {is_not: 2}}", "a=2 b=1;"},
	{"a path that is not swept has the experiment's value",
	 "product: {a: [1, 2]}\nwhere: {a: {is: 2, unless: {policy.layout: bundle}}}", "a=1;a=2;"},
	{"which may keep all", "product: {a: [1, 2]}\nwhere: {ctx: {at_least: 100}}", "a=1;a=2;"},
	{"inside a part that is swept whole, the part's own value counts",
	 "product: {policy: [{name: p, window: 2}, {name: q, window: 7}]}\n"
	 "where: {policy.window: {at_least: 5}}",
	 "policy=q;"},
	{"and a part that lacks the key is not restricted by it",
	 "product: {policy: [{name: p}, {name: q, window: 7}, {name: r, window: 2}]}\n"
	 "where: {policy.window: {at_least: 5}}",
	 "policy=p;policy=q;"},
	{"a part's value is its name",
	 "product: {policy: [{name: p}, {name: q}]}\nwhere: {policy: q}", "policy=q;"},
	{"a dotted key beats the part it goes into",
	 "product: {policy: [{name: p, window: 2}], policy.window: [1, 9]}\n"
	 "where: {policy.window: {at_least: 5}}",
	 "policy=p policy.window=9;"},
	{"blocks follow each other",
	 "- product: {a: [1, 2]}\n- zip: {b: [x], c: [y]}\n- product: {a: {range: [1, 3]}}\n"
	 "  where: {a: {is: 3}}\n",
	 "a=1;a=2;b=x c=y;a=3;"},
};

static void parse(struct ynode **node, const char *yaml, const char *file)
{
	struct err err = {0};

	ck_assert_msg(yaml_parse(node, yaml, file, &err) == 0, "%s", err.msg);
}

static void append(char *text, size_t size, const struct sweep_point *point)
{
	size_t used = strlen(text);

	for (size_t i = 0; i < point->count; i++) {
		const struct ynode *value = point->values[i];

		if (value->kind == YNODE_MAP)
			value = ynode_get(value, "name");
		used += (size_t)snprintf(text + used, size - used, "%s%s=%s", i ? " " : "",
					 point->paths[i], value->text);
	}
	snprintf(text + used, size - used, ";");
}

START_TEST(test_a_sweep_has_these_points_in_this_order)
{
	struct ynode *node, *base;
	struct sweep sweep;
	struct err err = {0};
	char text[1024] = "";

	parse(&node, good[_i].yaml, "sweep.yaml");
	parse(&base, base_yaml, "base.yaml");
	ck_assert_msg(sweep_expand(&sweep, node, base, &err) == 0, "%s: %s", good[_i].why, err.msg);
	for (size_t i = 0; i < sweep.count; i++)
		append(text, sizeof(text), &sweep.points[i]);
	ck_assert_msg(strcmp(text, good[_i].points) == 0, "%s: got %s", good[_i].why, text);
	sweep_fini(&sweep);
	ynode_free(node);
	ynode_free(base);
}
END_TEST

START_TEST(test_no_sweep_is_one_empty_point)
{
	struct sweep sweep;
	struct err err = {0};

	ck_assert_int_eq(sweep_expand(&sweep, NULL, NULL, &err), 0);
	ck_assert_uint_eq(sweep.count, 1);
	ck_assert_uint_eq(sweep.points[0].count, 0);
	sweep_fini(&sweep);
	sweep_fini(&sweep); /* and once more does no harm */
}
END_TEST

START_TEST(test_a_range_answers_with_the_place_of_its_list)
{
	struct ynode *node;
	struct sweep sweep;
	struct err err = {0};

	parse(&node, "# a\nproduct:\n  a: {range: [1, 3]}\n", "sweep.yaml");
	ck_assert_int_eq(sweep_expand(&sweep, node, NULL, &err), 0);
	ck_assert_uint_eq(sweep.count, 3);
	ynode_err(sweep.points[2].values[0], &err, "here");
	ck_assert_str_eq(err.msg, "sweep.yaml:3:14: here");
	sweep_fini(&sweep);
	ynode_free(node);
}
END_TEST

static const struct {
	const char *why, *yaml;
	uint32_t tells;
} telling[] = {
	{"every swept path tells", "product: {a: [1, 2], b: [3, 4]}", 3},
	{"one value does not", "product: {a: [1], b: [3, 4]}", 2},
	{"what is zipped to distinct values does not", "zip: {a: [1, 2], b: [3, 4]}", 1},
	{"but to repeated ones", "zip: {a: [1, 1, 2], b: [3, 4, 4], c: [5, 6, 7]}", 7},
	{"a part goes by its name", "zip: {policy: [{name: p}, {name: q}], b: [3, 4]}", 1},
	{"equal values do not", "zip: {a: [1, 1, 2], b: [3, 4, 4], c: [5, 5, 5]}", 3},
	{"one value tells a block from the others",
	 "[{product: {p.a: [1], b: [3, 4]}}, {product: {p.a: [2]}}]", 3},
	{"if it is of a part", "[{product: {a: [1], b: [3, 4]}}, {product: {a: [2]}}]", 2},
	{"product and zip each tell", "product: {z: [1, 2]}\nzip: {a: [1, 2], b: [3, 4]}", 3},
};

START_TEST(test_a_point_knows_what_tells_it_from_others)
{
	struct ynode *node;
	struct sweep sweep;
	struct err err = {0};

	parse(&node, telling[_i].yaml, "sweep.yaml");
	ck_assert_int_eq(sweep_expand(&sweep, node, NULL, &err), 0);
	ck_assert_msg(sweep.points[0].tells == telling[_i].tells, "%s: got %x", telling[_i].why,
		      sweep.points[0].tells);
	sweep_fini(&sweep);
	ynode_free(node);
}
END_TEST

START_TEST(test_points_know_their_block)
{
	struct ynode *node;
	struct sweep sweep;
	struct err err = {0};

	parse(&node, "- product: {a: [1, 2]}\n- product: {b: [3]}\n", "sweep.yaml");
	ck_assert_int_eq(sweep_expand(&sweep, node, NULL, &err), 0);
	ck_assert_uint_eq(sweep.count, 3);
	ck_assert_uint_eq(sweep.points[1].block, 0);
	ck_assert_uint_eq(sweep.points[2].block, 1);
	sweep_fini(&sweep);
	ynode_free(node);
}
END_TEST

static const struct {
	const char *why, *yaml, *says;
} bad[] = {
	{"a sweep is a mapping", "just text",
	 "s:1:1: sweep: wanted a mapping of product, zip and "
	 "where, got a value"},
	{"with three keys", "prodct: {a: [1]}",
	 "s:1:1: sweep: unknown key prodct, expected product, zip, where (did you mean product?)"},
	{"a path at its top is no axis", "policy.window: [1, 2]",
	 "s:1:1: sweep: unknown key policy.window, expected product, zip, where"},
	{"a product is a mapping", "product: [a, b]",
	 "s:1:10: product: wanted a mapping of paths to values, got a list"},
	{"a zip too", "zip: 3", "s:1:6: zip: wanted a mapping of paths to values, got a value"},
	{"zipped lists are equally long", "zip: {a: [1, 2, 3], b: [x, y]}",
	 "s:1:6: zip: a has 3 values and b has 2, expected equal lengths"},
	{"a path is swept once", "product: {a: [1]}\nzip: {a: [2]}",
	 "s:2:7: a is swept twice: in product and in zip"},
	{"a path has no empty part", "product: {policy..window: [1]}",
	 "s:1:11: 'policy..window' is no dotted path of keys (such as policy.window)"},
	{"nor ends in a dot", "product: {policy.: [1]}",
	 "s:1:11: 'policy.' is no dotted path of keys (such as policy.window)"},
	{"nor has a space", "product: {policy window: [1]}",
	 "s:1:11: 'policy window' is no dotted path of keys (such as policy.window)"},
	{"an empty list sweeps nothing", "product: {a: []}",
	 "s:1:14: a: an empty list sweeps nothing"},
	{"nor does an empty mapping", "product: {a: {}}",
	 "s:1:14: a: wanted [values] or {range: [first, last]}"},
	{"a value is no list", "product: {a: [[1, 2]]}",
	 "s:1:15: a: wanted a value or a part's mapping, got a list"},
	{"range is the only key", "product: {a: {rnage: [1, 2]}}",
	 "s:1:15: a: unknown key rnage, expected range (did you mean range?)"},
	{"a range is a list", "product: {a: {range: 3}}",
	 "s:1:22: range: wanted [first, last] or [first, last, step], got a value"},
	{"of two or three", "product: {a: {range: [1]}}",
	 "s:1:22: range: wanted [first, last] or [first, last, step], got a list"},
	{"numbers", "product: {a: {range: [1, x]}}",
	 "s:1:22: range: [1, x] are not numbers of one dimension"},
	{"of one dimension", "product: {a: {range: [1KiB, 5us, 1]}}",
	 "s:1:22: range: [1KiB, 5us, 1] are not numbers of one dimension"},
	{"with a step where there is a unit", "product: {a: {range: [4KiB, 64KiB]}}",
	 "s:1:22: range: [4KiB, 64KiB] has a unit, so wanted a step as well"},
	{"a step leads to the end", "product: {a: {range: [1, 8, -1]}}",
	 "s:1:22: range: step -1 never gets from 1 to 8"},
	{"and moves", "product: {a: {range: [1, 8, 0]}}",
	 "s:1:22: range: step 0 never gets from 1 to 8"},
	{"a range ends", "product: {a: {range: [1, 1e9]}}",
	 "s:1:22: range: 1000000000 values, at most 1000000"},
	{"a sweep ends", "product: {a: {range: [1, 2000]}, b: {range: [1, 2000]}}",
	 "s:1:1: sweep: 4000000 points, at most 1000000"},
	{"a sweep of blocks ends too",
	 "- product: {a: {range: [1, 999]}, b: {range: [1, 1001]}}\n- product: {a: [1, 2]}\n",
	 "s:2:3: sweep: 1000001 points, at most 1000000"},
	{"a list of no blocks sweeps nothing", "[]", "s:1:1: sweep: an empty list sweeps nothing"},
	{"a block is a mapping", "- 3",
	 "s:1:3: sweep: wanted a mapping of product, zip and where, "
	 "got a value"},
	{"where is a mapping", "product: {a: [1]}\nwhere: a",
	 "s:2:8: where: wanted a mapping of paths to conditions, got a value"},
	{"a condition has a known name", "product: {a: [1]}\nwhere: {a: {atleast: 1}}",
	 "s:2:13: where: unknown key atleast, expected at_least, at_most, is, is_not, unless (did "
	 "you "
	 "mean at_least?)"},
	{"there is a condition", "product: {a: [1]}\nwhere: {a: {}}",
	 "s:2:12: where: no condition, expected at_least, at_most, is or is_not"},
	{"and not only its exception", "product: {a: [1], b: [1]}\nwhere: {a: {unless: {b: 1}}}",
	 "s:2:12: where: no condition, expected at_least, at_most, is or is_not"},
	{"a bound is one value", "product: {a: [1]}\nwhere: {a: {at_least: [1, 2]}}",
	 "s:2:23: where: at_least: wanted a value, got a list"},
	{"a path of where is known",
	 "product: {policy.window: [1]}\nwhere: {policy.windw: {is: 1}}",
	 "s:2:9: where: policy.windw is neither swept nor in the experiment (did you mean "
	 "policy.window?)"},
	{"in unless too", "product: {a: [1]}\nwhere: {a: {is: 1, unless: {zzz: 1}}}",
	 "s:2:29: where: zzz is neither swept nor in the experiment"},
	{"unless is a mapping", "product: {a: [1]}\nwhere: {a: {is: 1, unless: b}}",
	 "s:2:28: unless: wanted a mapping of paths to values, got a value"},
	{"of values", "product: {a: [1]}\nwhere: {a: {is: 1, unless: {a: {is: 1}}}}",
	 "s:2:32: unless: wanted a value or a list, got a mapping"},
	{"words have no order", "product: {a: [row, 4KiB]}\nwhere: {a: {at_least: 4KiB}}",
	 "s:2:23: where: a: cannot order 'row' and '4KiB'"},
	{"nor have a time and a size", "product: {a: [5us]}\nwhere: {a: {at_most: 4KiB}}",
	 "s:2:22: where: a: cannot order '5us' and '4KiB'"},
	{"a where that keeps nothing is a mistake",
	 "product: {a: {range: [1, 4]}}\nwhere: {a: {at_least: 9}}",
	 "s:2:8: where: keeps none of 4 points"},
};

START_TEST(test_a_wrong_sweep_is_refused_by_place_and_name)
{
	struct ynode *node, *base;
	struct sweep sweep;
	struct err err = {0};

	parse(&node, bad[_i].yaml, "s");
	parse(&base, base_yaml, "base.yaml");
	ck_assert_msg(sweep_expand(&sweep, node, base, &err) == EINVAL, "%s", bad[_i].why);
	ck_assert_msg(strcmp(err.msg, bad[_i].says) == 0, "%s: said %s", bad[_i].why, err.msg);
	ynode_free(node);
	ynode_free(base);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sweep");
	TCase *tcase = tcase_create("points");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 30);
	tcase_add_loop_test(tcase, test_a_sweep_has_these_points_in_this_order, 0,
			    sizeof(good) / sizeof(*good));
	tcase_add_test(tcase, test_no_sweep_is_one_empty_point);
	tcase_add_test(tcase, test_a_range_answers_with_the_place_of_its_list);
	tcase_add_test(tcase, test_points_know_their_block);
	tcase_add_loop_test(tcase, test_a_point_knows_what_tells_it_from_others, 0,
			    sizeof(telling) / sizeof(*telling));
	tcase_add_loop_test(tcase, test_a_wrong_sweep_is_refused_by_place_and_name, 0,
			    sizeof(bad) / sizeof(*bad));
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
