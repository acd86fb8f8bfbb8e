"""Something before the DICOM service that keeps old answers, whatever the app asks it for."""

from shared.dicom.client import DicomClient
from tests.builders import make_instance


async def test_an_old_answer_about_a_study_takes_no_new_instance_away(stack, monkeypatch):
    ask, answers = DicomClient.study_metadata, []

    async def first_answer(client, study, confirm):
        answers.append(answers[0] if answers else await ask(client, study, confirm))
        return answers[0]

    with monkeypatch.context() as cache:
        cache.setattr(DicomClient, "study_metadata", first_answer)
        await stack.store(*(make_instance(1, 1, number) for number in range(1, 13)))
        await stack.drain()
        await stack.store(*(make_instance(1, 1, number) for number in range(13, 40)))
        await stack.poll()
        (outcome,) = await stack.run(*await stack.messages())
        assert len(answers) > 1, "it is asked for as a whole"
        assert outcome == "retrying"
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert study["numberOfInstances"] == 39
