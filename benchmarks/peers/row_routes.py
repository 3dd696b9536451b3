"""The peers of the row API: `python -m benchmarks.peers.row_routes fastapi|bare PORT KEY WHAT`.

`fastapi` answers look-ups as a plain FastAPI application does, from the table `people` at the address WHAT; `bare`
answers everything with WHAT.
"""

import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "people"
    id_number: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    sex: Mapped[str | None]
    birth_date: Mapped[str | None]
    region: Mapped[str | None]
    status: Mapped[str | None]
    phone: Mapped[str | None]
    address: Mapped[str | None]


class PersonOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id_number: str
    name: str | None
    sex: str | None
    birth_date: str | None
    region: str | None
    status: str | None
    phone: str | None
    address: str | None


class People(BaseModel):
    items: list[PersonOut]


def plain(key: str, dsn: str) -> FastAPI:
    """The application that one would write without thinking of speed."""
    app = FastAPI()
    engine = create_engine(dsn.replace("postgresql:", "postgresql+psycopg:"), pool_size=20, max_overflow=20)
    bearer, keys = HTTPBearer(), {key}

    def session() -> Iterator[Session]:
        with Session(engine) as one:
            yield one

    def caller(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
        if credentials.credentials not in keys:
            raise HTTPException(401)
        return credentials.credentials

    @app.get("/api/sync/v1/resources/population/rows")
    def look_up(
        id_number: str, who: Annotated[str, Depends(caller)], database: Annotated[Session, Depends(session)]
    ) -> People:
        found = database.scalars(select(Person).where(Person.id_number == id_number)).all()
        return People(items=[PersonOut.model_validate(one) for one in found])

    return app


def bare(body: bytes) -> Callable[..., Awaitable[None]]:
    """One body for everything."""
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
    }

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send(start)
        await send({"type": "http.response.body", "body": body})

    return answer


def main(arguments: list[str]) -> None:
    kind, port, key, what = arguments
    text = json.dumps(json.loads(what), ensure_ascii=False, separators=(",", ":")) if kind == "bare" else ""
    app = bare(text.encode()) if kind == "bare" else plain(key, what)
    uvicorn.run(
        app, host="127.0.0.1", port=int(port), log_config=None, access_log=False, http="httptools", loop="uvloop",
        lifespan="off", server_header=False, date_header=False, proxy_headers=False,
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
