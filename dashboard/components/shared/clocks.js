// Instants as the city's clocks show them. The zone is the city's own, as the server says it.

/** @param {number} n */
const two = (n) => String(n).padStart(2, "0");

/** The clocks and days of one time zone; instants are milliseconds since 1970. */
export class ZoneClock {
  /** @param {string} zone an IANA name, as the server says it */
  constructor(zone) {
    this.zone = zone;
    const digits = /** @type {const} */ ("2-digit");
    this.time = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      hour: digits,
      minute: digits,
      second: digits,
      hourCycle: "h23",
    });
    this.date = new Intl.DateTimeFormat("en-CA", {
      timeZone: zone,
      year: "numeric",
      month: digits,
      day: digits,
    });
  }

  /** @param {number} ms */
  hhmmss(ms) {
    return this.time.format(ms);
  }

  /** @param {number} ms */
  hhmm(ms) {
    return this.time.format(ms).slice(0, 5);
  }

  /**
   * The day as 2026-11-29.
   * @param {number} ms
   */
  day(ms) {
    return this.date.format(ms);
  }

  /**
   * The day within its year, as 11-29.
   * @param {number} ms
   */
  monthDay(ms) {
    return this.date.format(ms).slice(5);
  }

  /**
   * @param {number} one
   * @param {number} other
   */
  sameDay(one, other) {
    return this.day(one) === this.day(other);
  }

  /**
   * The hour, with its day before it where that is not the day of `now`.
   * @param {number} ms
   * @param {number} now
   */
  when(ms, now) {
    return this.sameDay(ms, now) ? this.hhmm(ms) : `${this.monthDay(ms)} ${this.hhmm(ms)}`;
  }

  /**
   * The day in a language, as a wall shows it: 29 Nov Sun.
   * @param {number} ms
   * @param {string} lang
   */
  named(ms, lang) {
    const locale = lang === "zh" ? "zh-CN" : "en-GB", month = lang === "zh" ? "long" : "short";
    const date = new Intl.DateTimeFormat(locale, { timeZone: this.zone, month, day: "numeric" });
    const week = new Intl.DateTimeFormat(locale, { timeZone: this.zone, weekday: "short" });
    return `${date.format(ms)} ${week.format(ms)}`;
  }
}

/**
 * A length of time as digits: 04:12, 1:12:05, whichever side of zero it lies on.
 * @param {number} ms
 */
export function digits(ms) {
  const s = Math.floor(Math.abs(ms) / 1000), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${two(m)}:${two(s % 60)}`;
}

/**
 * A length of time as digits; from two days on in words, and where there is little room from ten hours on.
 * @param {number} ms
 * @param {{ d: string, h: string }} words of days and hours
 * @param {boolean} long whether there is room
 */
export function span(ms, words, long = false) {
  const h = Math.floor(Math.abs(ms) / 3600000);
  if (h >= 48) {
    return `${Math.floor(h / 24)} ${words.d}${long && h % 24 ? ` ${h % 24} ${words.h}` : ""}`;
  }
  return h >= 10 && !long ? `${h} ${words.h}` : digits(ms);
}
