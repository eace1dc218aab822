/** Questions to the user: a confirmation or one line of text, as promises. One at a time. */
import { defineStore } from 'pinia';
import { shallowRef } from 'vue';

export interface Question {
  readonly title: string;
  readonly text: string;
  readonly action: string;
  readonly danger: boolean;
  /** null: a confirmation only. */
  readonly input: { readonly label: string; readonly value: string } | null;
}

export const useDialogsStore = defineStore('dialogs', () => {
  const question = shallowRef<Question | null>(null);
  let settle: ((answer: string | undefined) => void) | null = null;

  function ask(next: Question): Promise<string | undefined> {
    settle?.(undefined);
    question.value = next;
    return new Promise((resolve) => (settle = resolve));
  }
  function answer(value: string | undefined): void {
    question.value = null;
    settle?.(value);
    settle = null;
  }
  const confirm = async (title: string, text: string, action: string) =>
    (await ask({ title, text, action, danger: true, input: null })) !== undefined;
  const prompt = (title: string, label: string, value: string, action: string) =>
    ask({ title, text: '', action, danger: false, input: { label, value } });

  return { question, answer, confirm, prompt };
});
