// Every name of Streamlit's own markup, and of keys that it makes classes of, that a script leans on. An upgrade that
// changes one of them breaks here and nowhere else; tests/test_browser_streamlit.py says which.

/** What Streamlit gives to the elements that scripts look for, as selectors. */
export const STREAMLIT = {
  dialog: '[role="dialog"]',
  send: '[data-testid="stBaseButton-primary"]', // the button that ends a dialog
  reason: '[class*="st-key-wb-reason-"]', // where the reason of a step is written, by the case's id
  reasonField: '[class*="st-key-wb-reason-"] input',
  metField: '[class*="st-key-wb-met-"] input',
  ticks: '[class*="st-key-wb-met-"], [class*="st-key-wb-all-"]',
  rest: ".st-key-wb-rest button", // teams that are farther
  understood: ".st-key-wb-understood button",
};

/**
 * Return the id of the case whose reason is written in an element of `STREAMLIT.reason`.
 * @param {Element} field
 */
export function caseOfReason(field) {
  return [...field.classList].map((name) => /^st-key-wb-reason-(\d+)$/.exec(name)?.[1]).find(Boolean);
}
