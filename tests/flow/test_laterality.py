"""A series whose images have sides of their own is judged as a whole."""

import random

import pytest

from tests.builders import make_instance, series_uid, sop_uid, study_uid

CODES = {"L": "419161000", "R": "419465000", "B": "51440002"}


async def side(stack):
    (series,) = (await stack.one("ImagingStudy"))["series"]
    return series.get("laterality", {}).get("code")


async def test_both_sides_make_it_bilateral_until_one_is_gone(stack):
    await stack.store(make_instance(1, 1, 1, ImageLaterality="L"))
    await stack.drain()
    assert await side(stack) == CODES["L"]
    await stack.store(make_instance(1, 1, 2, ImageLaterality="R"))
    await stack.drain()
    assert await side(stack) == CODES["B"]
    await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 1)}")
    await stack.drain()
    assert await side(stack) == CODES["R"]


@pytest.mark.parametrize("seed", range(3))
async def test_any_order_of_messages(stack, fresh_projection, seed):
    choose = random.Random(seed)
    alive, texts = set(), []
    for _ in range(10):
        number = choose.randint(1, 4)
        if number in alive and len(alive) > 1:
            await stack.delete(f"{study_uid(1)}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, number)}")
            alive.remove(number)
        elif number not in alive:
            await stack.store(make_instance(1, 1, number, ImageLaterality=choose.choice(("L", "R", None))))
            alive.add(number)
        await stack.poll()
        texts += await stack.messages()
        if choose.random() < 0.5:
            choose.shuffle(texts)
            await stack.run(*texts[: len(texts) // 2])
    choose.shuffle(texts)
    await stack.run(*texts)
    await stack.drain()
    content = [one for one in await stack.content() if one["resourceType"] == "ImagingStudy"]
    assert content == [one for one in await fresh_projection() if one["resourceType"] == "ImagingStudy"]
