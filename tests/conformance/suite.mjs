// Runs the sets of scenarios that expected.json names and compares what came out with what it records.
// Called by run.sh, which builds, installs and starts what is needed. Prints one line a set; a difference is exit code 1.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const EXPECTED = join(dirname(fileURLToPath(import.meta.url)), 'expected.json');
const SET_TIMEOUT_S = 240;
const SCENARIO_TIMEOUT_S = 60;

const { values: options } = parseArgs({
  options: {
    suite: { type: 'string' },
    url: { type: 'string' },
    'client-command': { type: 'string' },
    results: { type: 'string' },
    only: { type: 'string' },
    'spec-version': { type: 'string' },
    server: { type: 'boolean' },
    client: { type: 'boolean' },
    record: { type: 'boolean' }
  }
});
const expected = JSON.parse(readFileSync(EXPECTED, 'utf8'));

/** Runs the suite's command line. `timeout` ends the whole process group, so nothing outlives it. */
function suite(seconds, ...words) {
  const command = ['--kill-after=5', String(seconds), process.execPath, options.suite, ...words];
  const { status, stdout, stderr } = spawnSync('timeout', command, { encoding: 'utf8', maxBuffer: 64 << 20 });
  return { status, output: stdout + stderr };
}

/** The scenarios of one leg, as the suite itself lists them. */
function listed(leg, ...selection) {
  const { output } = suite(SCENARIO_TIMEOUT_S, 'list', `--${leg}`, ...selection);
  const names = [];
  let inLeg = false;
  for (const line of output.split('\n')) {
    const heading = /^(Server|Client|Authorization server) scenarios/.exec(line);
    if (heading) inLeg = heading[1].toLowerCase() === leg;
    if (/^Run and reported/.test(line)) inLeg = true;
    const item = /^\s+- (\S+)(?: \[(.*)\])?$/.exec(line);
    if (item && inLeg && (!['server', 'client'].includes(item[2]) || item[2] === leg)) names.push(item[1]);
  }
  return names;
}

/** Every checks.json below a folder, by the scenario that its folder is named after. */
function collect(folder, prefix) {
  const found = new Map();
  for (const entry of readdirSync(folder, { recursive: true })) {
    const match = /^(.*)-\d{4}-\d\d-\d\dT[\d-]+Z\/checks\.json$/.exec(entry);
    if (!match || !match[1].startsWith(prefix)) continue;
    found.set(match[1].slice(prefix.length), JSON.parse(readFileSync(join(folder, entry), 'utf8')));
  }
  return found;
}

const count = (checks, status) => checks.filter((check) => check.status === status).length;

function resultFolder(...names) {
  const folder = join(options.results, ...names.map((name) => name.replaceAll(/[^\w.-]+/g, '-')));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

function runServerSet(name, selection) {
  const folder = resultFolder('server', name);
  const { status, output } = suite(SET_TIMEOUT_S, 'server', '--url', options.url, ...selection, '-o', folder);
  writeFileSync(join(folder, 'output.txt'), output);
  const problems = status === 124 || status === 137 ? [`the suite did not end within ${SET_TIMEOUT_S} s`] : [];
  return { results: collect(folder, 'server-'), problems };
}

/** One scenario after the other: the suite would start all at once, and some measure times. */
function runClientSet(name, selection) {
  const folder = resultFolder('client', name);
  const scenarios = listed('client', ...selection).filter((scenario) => !leftOut(scenario));
  const runs = scenarios.map((scenario) => runScenario('client', scenario, selection.at(-1), folder));
  return { results: collect(folder, ''), problems: runs.flatMap(({ problems }) => problems) };
}

/** One scenario on its own, also where the suite would not apply it to the revision. */
function runScenario(leg, scenario, revision, folder) {
  const target = leg === 'client' ? ['--command', options['client-command']] : ['--url', options.url];
  const version = revision ? ['--spec-version', revision] : [];
  const words = [leg, ...target, '--scenario', scenario, ...version, '--force', '-o', folder];
  const { status, output } = suite(SCENARIO_TIMEOUT_S, ...words);
  writeFileSync(join(folder, `${scenario.replaceAll('/', '-')}.txt`), output);
  const results = collect(folder, leg === 'server' ? 'server-' : '');
  return { results, output, problems: status === 0 ? [] : [`${scenario}: the suite ended with ${status}`] };
}

/** Runs those scenarios again that measure times and went wrong: on a busy machine even a right answer may be late. */
function repeatTimed(leg, { selection, scenarios }, { results, problems }) {
  const wrong = (scenario) => {
    const checks = results.get(scenario) ?? [];
    return complaints(scenario, checks).length > 0 || count(checks, 'SUCCESS') < (scenarios[scenario] ?? 0);
  };
  const belongs = (scenario) => results.has(scenario) || scenario in scenarios;
  const repeated = expected.timed.filter((scenario) => belongs(scenario) && wrong(scenario));
  for (const scenario of repeated) {
    const again = runScenario(leg, scenario, selection.at(-1), resultFolder('repeated', leg, scenario));
    results.set(scenario, again.results.get(scenario) ?? []);
    problems = problems.filter((problem) => !problem.startsWith(`${scenario}:`)).concat(again.problems);
  }
  return { results, problems, repeated };
}

const leftOut = (scenario) => expected.leftOut.some(({ prefix }) => scenario.startsWith(prefix));

/** What differs from the record, as sentences. */
function differences(results, recorded) {
  const problems = [];
  for (const [scenario, successes] of Object.entries(recorded)) {
    const checks = results.get(scenario);
    if (!checks) {
      problems.push(`${scenario}: no result`);
    } else if (count(checks, 'SUCCESS') < successes) {
      problems.push(`${scenario}: ${count(checks, 'SUCCESS')} successes, ${successes} are recorded`);
    }
  }
  for (const [scenario, checks] of results) {
    if (leftOut(scenario)) continue;
    if (!(scenario in recorded)) problems.push(`${scenario}: not recorded; run with --record`);
    problems.push(...complaints(scenario, checks));
  }
  return problems;
}

/** The failures and warnings of a scenario. */
function complaints(scenario, checks) {
  const bad = checks.filter((check) => ['FAILURE', 'WARNING'].includes(check.status));
  return bad.map((check) => `${scenario}: ${check.status} ${check.id}: ${check.errorMessage ?? check.description}`);
}

function judge(leg, name, outcome) {
  const set = expected[leg][name];
  const { results, problems, repeated } = repeatTimed(leg, set, outcome);
  const kept = [...results].filter(([scenario]) => !leftOut(scenario));
  const total = kept.reduce((sum, [, checks]) => sum + count(checks, 'SUCCESS'), 0);
  if (options.record) {
    const counts = kept.map(([scenario, checks]) => [scenario, count(checks, 'SUCCESS')]);
    set.scenarios = Object.fromEntries(counts.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  const all = [...problems, ...differences(results, set.scenarios)];
  if (total < set.atLeast) all.push(`${total} successes in all, at least ${set.atLeast} are asked for`);
  const left = results.size - kept.length;
  console.log(
    `${all.length ? 'FAILED' : 'ok    '}  ${leg}, ${name}: ${kept.length} scenarios, ${total} successes` +
      (left ? ` (${left} scenarios left out)` : '') +
      (repeated.length ? ` (run twice: ${repeated.join(', ')})` : '')
  );
  for (const problem of all) console.log(`        ${problem.split('\n').join('\n          ')}`);
  return all.length === 0;
}

function runOne() {
  const folder = resultFolder('only', options.only);
  const leg = listed('client').includes(options.only) ? 'client' : 'server';
  const { results, output } = runScenario(leg, options.only, options['spec-version'], folder);
  if (!results.size) console.log(output);
  for (const [scenario, checks] of results) {
    for (const check of checks.filter(({ status }) => status !== 'SUCCESS')) {
      console.log(`${check.status} ${check.id}: ${check.errorMessage ?? check.description}`);
      if (check.status !== 'INFO') console.log(JSON.stringify(check.details, null, 2));
    }
    console.log(`${scenario}: ${count(checks, 'SUCCESS')} successes; raw results in ${folder}`);
  }
  return results.size > 0 && [...results].every(([scenario, checks]) => !complaints(scenario, checks).length);
}

function runAll() {
  let good = true;
  for (const leg of ['server', 'client'].filter((leg) => options[leg] || !(options.server || options.client))) {
    for (const [name, set] of Object.entries(expected[leg])) {
      const outcome = leg === 'server' ? runServerSet(name, set.selection) : runClientSet(name, set.selection);
      good = judge(leg, name, outcome) && good;
    }
  }
  if (options.record) writeFileSync(EXPECTED, `${JSON.stringify(expected, null, 2)}\n`);
  for (const { prefix, why } of expected.leftOut) console.log(`left out: ${prefix}* (${why})`);
  return good;
}

process.exitCode = (options.only ? runOne() : runAll()) ? 0 : 1;
