// A running `musubi up` with sources of its own, and what it says of persons.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PATIENCE = 90_000;

/** Starts it with these sources, each `{ name, preset, … }`; secrets are given as `{ env: value }` and kept nowhere else. */
export async function musubi(binary, sources, secrets) {
  const directory = mkdtempSync(join(tmpdir(), 'musubi-clients-'));
  const configuration = join(directory, 'musubi.toml');
  writeFileSync(configuration, sources.join('\n'));
  const process_ = spawn(
    binary,
    ['up', '--config', configuration, '--data', join(directory, 'data'), '--listen', '127.0.0.1:0'],
    { stdio: ['ignore', 'pipe', process.env.SHOW ? 'inherit' : 'ignore'], env: { ...process.env, ...secrets, MUSUBI_KEY: 'of the clients' } },
  );
  process.once('exit', () => process_.kill('SIGKILL'));
  const ended = new Promise((resolve) => process_.once('exit', resolve));
  const said = await new Promise((resolve, reject) => {
    process_.stdout.once('data', resolve);
    process_.once('error', reject);
    ended.then((code) => reject(new Error(`musubi ended with ${code}`)));
  });
  const base = `http://${JSON.parse(said).listening}`;
  return new Running(base, async () => {
    process_.kill('SIGTERM');
    assert.equal(await ended, 0, 'musubi ends well');
    rmSync(directory, { recursive: true });
  });
}

class Running {
  constructor(base, stop) {
    this.base = base;
    this.stop = stop;
  }

  async get(path) {
    const answer = await fetch(this.base + path);
    const text = await answer.text();
    return answer.headers.get('content-type')?.startsWith('application/json') ? JSON.parse(text) : text;
  }

  person(namespace, value) {
    return this.get(`/v1/profiles/${namespace}/${encodeURIComponent(value)}`);
  }

  /** Waits until a person has so many touchpoints, and fails where there are more or they never come. */
  async personOf(namespace, value, touchpoints) {
    const until = Date.now() + PATIENCE;
    for (;;) {
      const person = await this.person(namespace, value);
      const found = count(person);
      if (found === touchpoints) return person;
      assert.ok(found < touchpoints, `${namespace}:${value} has ${found} touchpoints, wanted ${touchpoints}`);
      assert.ok(Date.now() < until, `${namespace}:${value} has ${found} touchpoints, wanted ${touchpoints}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async metric(line) {
    const found = (await this.get('/metrics')).split('\n').find((have) => have.startsWith(`${line} `));
    return found ? Number(found.slice(line.length + 1)) : 0;
  }

  async topic(name) {
    const lines = (await this.get(`/v1/topics/${name}?from=start&follow=false`)) || '';
    const text = typeof lines === 'string' ? lines : JSON.stringify(lines);
    return text.split('\n').filter(Boolean).map((line) => JSON.parse(line).value);
  }
}

export function count(person) {
  return Object.values(person.channels ?? {}).reduce((sum, channel) => sum + channel.touchpoints, 0);
}
